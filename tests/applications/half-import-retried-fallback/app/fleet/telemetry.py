from fleet.models import Reading, Vehicle

CHANNELS = ("fuel", "coolant", "odometer", "door")


def decode(session, plate, at, frame):
    vehicle = session.query(Vehicle).filter_by(plate=plate).one()
    for channel, value in zip(CHANNELS, frame):
        session.add(Reading(vehicle=vehicle, at=at, channel=channel, value=value))
