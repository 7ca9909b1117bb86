from ferry import timetable
from service.ferry import report


def start():
    timetable.depart()
    return report.total()
