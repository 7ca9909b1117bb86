from exhibits.models import Exhibit, Upload


def of(session, room):
    found = session.query(Upload).join(Exhibit).filter(Exhibit.room == room)
    return [upload.path for upload in found]
