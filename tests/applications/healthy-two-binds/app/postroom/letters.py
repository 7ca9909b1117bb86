from postroom.extensions import db


class Letter(db.Model):
    __tablename__ = "letters"

    id = db.Column(db.Integer, primary_key=True)
    office_id = db.Column(db.ForeignKey("offices.id"))
    sender = db.Column(db.String(80))
    office = db.relationship("Office")
