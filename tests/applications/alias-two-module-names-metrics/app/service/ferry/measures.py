from prometheus_client import Counter

crossings = Counter("ferry_crossings", "Crossings of the river")
