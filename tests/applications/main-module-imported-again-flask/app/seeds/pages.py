from flask import jsonify

from seeds.db import Base, Session, engine
from seeds.models import Seed
from serve import app


@app.route("/seeds")
def seeds():
    Base.metadata.create_all(engine)
    with Session() as session:
        return jsonify([seed.name for seed in session.query(Seed)])
