import logging
from importlib import import_module

from flask import Flask

log = logging.getLogger(__name__)
ROOMS = ("paintings", "coins")


def create_app():
    app = Flask("museum")
    for room in ROOMS:
        try:
            module = import_module(f"museum.{room}")
        except ImportError as error:
            log.debug("no room %s: %s", room, error)
            continue
        app.register_blueprint(module.room)
    return app
