from clinic.models.appointment import Appointment
from clinic.models.owner import Owner
from clinic.models.patient import Patient

__all__ = ["Appointment", "Owner", "Patient"]
