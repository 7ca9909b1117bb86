"""What a finished session earns under the incentive rules."""

from datetime import date
from typing import Any, Dict, List

from sqlalchemy.orm import Session

from app.models import ChargeSession
from app.models_extra import IncentiveRule, RewardGrant
from app.services import ledger


def active_rules(db: Session, on: date) -> List[IncentiveRule]:
    rules = db.query(IncentiveRule).filter(IncentiveRule.is_active.is_(True))
    return [
        rule
        for rule in rules.order_by(IncentiveRule.priority)
        if (rule.starts_on is None or rule.starts_on <= on)
        and (rule.ends_on is None or on <= rule.ends_on)
    ]


def _holds(conditions: Dict[str, Any], session: ChargeSession) -> bool:
    if session.kwh < conditions.get("min_kwh", 0):
        return False
    hours = conditions.get("hours")
    return hours is None or session.started_at.hour in hours


def grant(db: Session, session: ChargeSession) -> int:
    """Book every rule that the session fulfils; the sum in cents. The caller commits."""
    total = 0
    for rule in active_rules(db, session.started_at.date()):
        if not _holds(rule.conditions, session):
            continue
        db.add(
            RewardGrant(
                rule_id=rule.id, user_id=session.user_id, session_id=session.id, cents=rule.cents
            )
        )
        ledger.book(db, session.user_id, rule.cents, "reward", f"session:{session.id}")
        total += rule.cents
    return total
