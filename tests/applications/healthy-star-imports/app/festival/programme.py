from festival.models import *  # noqa: F403
from festival.models.screenings import *  # noqa: F403


def of(session, hall):
    found = session.query(Screening).filter_by(hall=hall)  # noqa: F405
    return [screening.film.title for screening in found]
