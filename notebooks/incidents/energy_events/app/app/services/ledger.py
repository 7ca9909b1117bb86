"""The credit ledger: append-only, in cents."""

from typing import Optional

from sqlalchemy import func
from sqlalchemy.orm import Session

from app.models_extra import CreditLedger


def balance(db: Session, user_id: int) -> int:
    """What the driver has, in cents: the sum of the driver's rows."""
    total = db.query(func.sum(CreditLedger.cents)).filter(CreditLedger.user_id == user_id).scalar()
    return int(total or 0)


def book(
    db: Session, user_id: int, cents: int, reason: str, reference: Optional[str] = None
) -> CreditLedger:
    """Append one row. The caller commits."""
    row = CreditLedger(user_id=user_id, cents=cents, reason=reason, reference=reference)
    db.add(row)
    return row
