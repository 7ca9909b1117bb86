from allotments.models import Garden

CENTS = 38


def yearly(session):
    return sum((garden.square_metres or 0) * CENTS for garden in session.query(Garden))
