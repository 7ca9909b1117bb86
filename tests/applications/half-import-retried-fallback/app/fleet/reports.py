from fleet import depots

try:
    from fleet.models import Vehicle
except ImportError:
    from models import Vehicle


def by_depot(session):
    counts = {}
    for vehicle in session.query(Vehicle):
        name = depots.name(vehicle.depot)
        counts[name] = counts.get(name, 0) + 1
    return counts
