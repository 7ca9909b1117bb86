"""Stays at a charger: start, meter, end."""

from typing import List, Optional

from sqlalchemy.orm import Session

from app.db import utcnow
from app.models import ChargeSession
from app.services import rewards

MAX_KWH = 200.0


def start(db: Session, user_id: int, charger_id: str, vehicle_id: Optional[int]) -> ChargeSession:
    """Begin a stay; one that is still open at another charger is ended first."""
    for open_one in _open(db, user_id):
        open_one.ended_at = utcnow()
    session = ChargeSession(user_id=user_id, charger_id=charger_id, vehicle_id=vehicle_id)
    db.add(session)
    db.commit()
    return session


def stop(db: Session, user_id: int, session_id: int, kwh: float) -> int:
    """End a stay and book what it earns, in cents."""
    session = db.get(ChargeSession, session_id)
    if session is None or session.user_id != user_id:
        raise LookupError("No such session")
    if session.ended_at is not None:
        return 0
    session.ended_at = utcnow()
    session.kwh = min(max(kwh, 0.0), MAX_KWH)
    cents = rewards.grant(db, session)
    db.commit()
    return cents


def recent(db: Session, user_id: int, limit: int) -> List[ChargeSession]:
    return (
        db.query(ChargeSession)
        .filter(ChargeSession.user_id == user_id)
        .order_by(ChargeSession.id.desc())
        .limit(limit)
        .all()
    )


def _open(db: Session, user_id: int) -> List[ChargeSession]:
    return (
        db.query(ChargeSession)
        .filter(ChargeSession.user_id == user_id, ChargeSession.ended_at.is_(None))
        .all()
    )
