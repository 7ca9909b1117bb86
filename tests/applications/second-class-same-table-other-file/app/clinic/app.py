from flask import Flask

from clinic.config import Config
from clinic.extensions import db


def create_app():
    app = Flask("clinic")
    app.config.from_object(Config)
    db.init_app(app)

    from clinic import rota, views

    app.register_blueprint(views.bp)
    app.register_blueprint(rota.bp)
    with app.app_context():
        db.create_all()
    return app
