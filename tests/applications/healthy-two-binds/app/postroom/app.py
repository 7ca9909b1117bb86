import os

from flask import Flask

from postroom import archive, letters, offices
from postroom.extensions import db


def create_app():
    app = Flask("postroom")
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "sqlite://")
    app.config["SQLALCHEMY_BINDS"] = {"archive": "sqlite://"}
    db.init_app(app)
    with app.app_context():
        db.create_all()
        letter = letters.Letter(sender="B. Citizen", office=offices.Office(name="Parks"))
        db.session.add(letter)
        db.session.flush()
        archive.put(letter, "7/4")
        db.session.rollback()
    return app
