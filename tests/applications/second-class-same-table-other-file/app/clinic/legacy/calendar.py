"""The calendar as it was before the rewrite."""
from clinic.extensions import db


class CalendarEntry(db.Model):
    __tablename__ = "appointments"

    id = db.Column(db.Integer, primary_key=True)
    starts_at = db.Column(db.DateTime, nullable=False)
    vet = db.Column(db.String(40))
    note = db.Column(db.Text)
