REDUCED = 0.6


def for_guest(cents, student):
    return int(cents * REDUCED) if student else cents
