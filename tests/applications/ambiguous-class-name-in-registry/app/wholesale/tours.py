from wholesale.customers import Customer
from wholesale.depots import Depot


def stops(session, code):
    depot = session.query(Depot).filter_by(code=code).first()
    found = [depot.address.street] if depot else []
    for customer in session.query(Customer):
        found += [address.street for address in customer.addresses]
    return found
