from clinic.extensions import db


class Patient(db.Model):
    __tablename__ = "patients"

    id = db.Column(db.Integer, primary_key=True)
    owner_id = db.Column(db.ForeignKey("owners.id"), nullable=False)
    name = db.Column(db.String(40), nullable=False)
    species = db.Column(db.String(20), nullable=False)
    owner = db.relationship("Owner", backref="patients")
