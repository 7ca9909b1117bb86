import datetime

import irrigation.rules
from irrigation import calendar, console, valves
from irrigation.db import Base, Session, engine


def start():
    Base.metadata.create_all(engine)
    console.run("help")
    return plan(datetime.date(2024, 7, 1), 27)


def free_days():
    with Session() as session:
        return calendar.dry_days(session)


def plan(day, celsius):
    rules = irrigation.rules
    with Session() as session:
        if rules.dry(session, day):
            return {}
        minutes = rules.minutes(celsius)
        return {valve.bed: minutes for valve in session.query(valves.Valve)}
