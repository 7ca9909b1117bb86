from clinic.extensions import db


class Appointment(db.Model):
    __tablename__ = "appointments"

    id = db.Column(db.Integer, primary_key=True)
    patient_id = db.Column(db.ForeignKey("patients.id"), nullable=False)
    starts_at = db.Column(db.DateTime, nullable=False, index=True)
    minutes = db.Column(db.Integer, nullable=False, default=20)
    reason = db.Column(db.String(200))
    patient = db.relationship("Patient", backref="appointments")
