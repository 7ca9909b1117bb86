from kvbox import Box

from checkout.db import metadata

preferences = Box(metadata)


def language(connection, visitor):
    return preferences.get(connection, "language:" + visitor) or "en"
