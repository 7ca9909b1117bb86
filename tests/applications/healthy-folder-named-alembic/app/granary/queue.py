from granary.models import Bin


def waiting(session):
    return session.query(Bin).count()
