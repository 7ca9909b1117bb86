from checkout import carts, orders, preferences
from checkout.db import engine, metadata

ROUTES = {"cart": carts.load, "language": preferences.language}


def start():
    metadata.create_all(engine)
    return [orders.orders.name]
