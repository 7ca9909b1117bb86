"""The wallet: what a driver has earned, and payouts of it."""

from typing import Any, Dict, List

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy.orm import Session

from app.db import get_db
from app.models_extra import CreditLedger, PayoutRequest
from app.security import current_user_id
from app.services import ledger

router = APIRouter(prefix="/v1/wallet", tags=["wallet"])

MINIMUM_PAYOUT_CENTS = 500


@router.get("")
def balance(
    user_id: int = Depends(current_user_id), db: Session = Depends(get_db)
) -> Dict[str, int]:
    return {"cents": ledger.balance(db, user_id)}


@router.get("/entries")
def entries(
    limit: int = Query(50, ge=1, le=200),
    user_id: int = Depends(current_user_id),
    db: Session = Depends(get_db),
) -> List[Dict[str, Any]]:
    rows = (
        db.query(CreditLedger)
        .filter(CreditLedger.user_id == user_id)
        .order_by(CreditLedger.id.desc())
        .limit(limit)
    )
    return [{"cents": row.cents, "reason": row.reason, "at": row.created_at} for row in rows]


@router.post("/payouts", status_code=201)
def request_payout(
    cents: int = Query(..., ge=MINIMUM_PAYOUT_CENTS),
    user_id: int = Depends(current_user_id),
    db: Session = Depends(get_db),
) -> Dict[str, Any]:
    if ledger.balance(db, user_id) < cents:
        raise HTTPException(status_code=409, detail="Not enough credit")
    payout = PayoutRequest(user_id=user_id, cents=cents)
    db.add(payout)
    ledger.book(db, user_id, -cents, "payout")
    db.commit()
    return {"id": payout.id, "status": payout.status}
