FOOT = 0.3048


def metres(feet):
    return round(feet * FOOT, 2)
