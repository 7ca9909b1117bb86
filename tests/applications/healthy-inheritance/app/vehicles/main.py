from vehicles import base, engines, inspections, ladders
from vehicles.db import Base, Session, engine


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        session.add_all(
            [
                engines.Tender(plate="F-101", litres=4000),
                ladders.Ladder(plate="F-201", metres=30),
                inspections.Inspection(vehicle=engines.Engine(plate="F-102", litres=2000)),
            ]
        )
        session.flush()
        assert session.query(base.Vehicle).count() == 3
