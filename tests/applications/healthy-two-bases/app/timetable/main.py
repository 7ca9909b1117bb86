from timetable import index
from timetable.db import Session
from timetable.models import Stop


def start():
    with Session() as session:
        session.add_all([Stop(name="Harbour"), Stop(name="Hard Rock"), Stop(name="Pier")])
        session.flush()
        index.build([stop.name for stop in session.query(Stop)])
        session.rollback()
    assert len(index.suggest("har")) == 2
