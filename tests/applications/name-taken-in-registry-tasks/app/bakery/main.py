from bakery import oven, till
from bakery.worker import app


def start():
    app.finalize()
    return oven, till
