from prometheus_client import CollectorRegistry, Counter


def measures():
    registry = CollectorRegistry()
    return registry, Counter("ferry_crossings", "Crossings of the river", registry=registry)


public, crossings = measures()
internal, crossings_of_the_crew = measures()
