TASKS = []


def every(hours):
    def register(function):
        TASKS.append((hours, function))
        return function

    return register
