from orchard import care, harvests
from orchard.db import Session

MODELS = (care.Pruning, harvests.Harvest)


def start():
    with Session() as session:
        return harvests.total(session, "Cox")
