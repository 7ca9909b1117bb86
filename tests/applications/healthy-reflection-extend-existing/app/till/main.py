from till import reports
from till.db import Session


def start():
    with Session() as session:
        assert reports.takings(session) == 840
