import json

from kvbox import Box

from checkout.db import metadata

HOUR = 3600
carts = Box(metadata, expires=True)


def keep(connection, visitor, items, now):
    carts.put(connection, "cart:" + visitor, json.dumps(items), expires_at=now + HOUR)


def load(connection, visitor):
    return json.loads(carts.get(connection, "cart:" + visitor) or "[]")
