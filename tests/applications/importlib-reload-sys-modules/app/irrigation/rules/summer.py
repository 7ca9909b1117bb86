DEGREES = 24


def minutes(celsius):
    return 20 if celsius > DEGREES else 8
