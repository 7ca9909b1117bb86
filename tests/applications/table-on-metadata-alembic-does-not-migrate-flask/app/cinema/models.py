from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()


class Seat(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    row = db.Column(db.Integer, nullable=False)
