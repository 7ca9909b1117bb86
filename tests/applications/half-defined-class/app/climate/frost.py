from climate.models import Alarm, Reading


def due(session):
    latest = session.query(Reading).order_by(Reading.taken_at.desc()).first()
    if latest is None:
        return []
    return session.query(Alarm).filter(Alarm.below > latest.celsius).all()
