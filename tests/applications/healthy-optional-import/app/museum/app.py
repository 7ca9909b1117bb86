from flask import Flask

try:
    from museum import engraving  # only where the engraver's library is installed
except ImportError:
    engraving = None
from museum.coins import room


def create_app():
    app = Flask("museum")
    app.register_blueprint(room)
    return app
