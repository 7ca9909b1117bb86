from flask import Flask

from museum.rooms import rooms


def create_app():
    app = Flask("museum")
    app.register_blueprint(rooms)
    return app
