"""The services that turn text into vectors."""
import time

LATENCY = {"articles": 0.2, "letters": 0.5}
DIMENSION = 384


def dimension(source):
    time.sleep(LATENCY[source])
    return DIMENSION
