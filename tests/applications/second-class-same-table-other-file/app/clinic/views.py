from flask import Blueprint, jsonify

from clinic.models import Patient

bp = Blueprint("patients", __name__)


@bp.get("/patients")
def patients():
    return jsonify([patient.name for patient in Patient.query.all()])
