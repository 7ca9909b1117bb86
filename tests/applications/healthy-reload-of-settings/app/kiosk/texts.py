from kiosk import settings
from kiosk.models import Sighting

TITLES = {"en": "Seen today", "de": "Heute gesehen"}


def page(session):
    lines = [TITLES[settings.LANGUAGE]]
    return lines + [sighting.species for sighting in session.query(Sighting)]
