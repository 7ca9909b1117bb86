PER_METRE = 1250


def yearly(berth):
    return round(berth.metres * PER_METRE)
