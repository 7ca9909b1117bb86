from parcels.main import Parcel
from parcels.routes import depot_for


def sort(session):
    for parcel in session.query(Parcel).filter(Parcel.depot_id.is_(None)):
        depot = depot_for(session, parcel.postcode)
        if depot is not None:
            parcel.depot_id = depot.id


def lost(session):
    return session.query(Parcel).filter(Parcel.depot_id.is_(None)).count()
