DEPOTS = {"N": "north", "S": "south", "H": "harbour"}


def name(code):
    return DEPOTS.get(code, "unknown")
