from weather.reports import frost


def show(connection):
    return {"frost": frost.run(connection)}
