from membership import fees
from membership.db import Base, engine
from reports import lanes

REPORTS = {"lanes": lanes.by_lane, "paid": fees.paid}


def start():
    Base.metadata.create_all(engine)
