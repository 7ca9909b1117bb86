from gallery.models import Exhibition, Photo


def newest(session, count=12):
    return session.query(Photo).order_by(Photo.taken.desc()).limit(count).all()


def shown(session, photo):
    return session.query(Exhibition).filter_by(photo_id=photo.id).count()
