from parcels.depots import Depot


def depot_for(session, postcode):
    return (
        session.query(Depot)
        .filter(Depot.first_postcode <= postcode, Depot.last_postcode >= postcode)
        .first()
    )
