from service.ferry.measures import crossings


def total():
    return crossings._value.get()
