from flask import Blueprint, jsonify

from clinic.extensions import db
from clinic.legacy.calendar import CalendarEntry

bp = Blueprint("rota", __name__)


@bp.get("/rota/<day>")
def rota(day):
    starts = db.select(CalendarEntry.starts_at).order_by(CalendarEntry.starts_at)
    return jsonify([start.isoformat() for start in db.session.scalars(starts)])
