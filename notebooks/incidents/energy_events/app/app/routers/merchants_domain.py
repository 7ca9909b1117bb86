"""Merchants of a zone: taking Nova at the till."""

from typing import Any, Dict, List

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy.orm import Session

from app.db import get_db
from app.models import User
from app.models_domain import DomainMerchant, StripePayment
from app.security import get_current_user
from app.services import nova

router = APIRouter(prefix="/v1/merchants", tags=["merchants"])


def _active(db: Session, merchant_id: str) -> DomainMerchant:
    merchant = db.get(DomainMerchant, merchant_id)
    if merchant is None or merchant.status != "active":
        raise LookupError("No such merchant")
    return merchant


@router.post("/{merchant_id}/redeem", status_code=201)
def redeem(
    merchant_id: str, user: User = Depends(get_current_user), db: Session = Depends(get_db)
) -> Dict[str, Any]:
    try:
        transaction = nova.redeem(db, user.id, _active(db, merchant_id))
    except ValueError as error:
        raise HTTPException(status_code=409, detail=str(error)) from error
    db.commit()
    return {"transaction_id": transaction.id, "nova": -transaction.amount}


@router.get("/{merchant_id}/payments")
def payments(
    merchant_id: str, user: User = Depends(get_current_user), db: Session = Depends(get_db)
) -> List[Dict[str, Any]]:
    """The merchant's purchases of Nova; only for its owner."""
    merchant = _active(db, merchant_id)
    if merchant.owner_user_id != user.id:
        raise PermissionError("Not the owner of this merchant")
    rows = db.query(StripePayment).filter(StripePayment.merchant_id == merchant.id)
    return [
        {"cents": p.amount_cents, "nova": p.nova_issued, "status": p.status}
        for p in rows.order_by(StripePayment.created_at)
    ]
