"""The rules that reward a session, as the app lists them."""

from typing import Any, Dict, List

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session

from app.db import get_db, utcnow
from app.models_extra import CommunityPool
from app.services import rewards

router = APIRouter(prefix="/v1/incentives", tags=["incentives"])


@router.get("")
def rules(db: Session = Depends(get_db)) -> List[Dict[str, Any]]:
    return [
        {"code": rule.code, "title": rule.title, "cents": rule.cents}
        for rule in rewards.active_rules(db, utcnow().date())
    ]


@router.get("/pool/{city}")
def pool(city: str, db: Session = Depends(get_db)) -> Dict[str, Any]:
    """The open pool of a city; a city without one has nothing in it."""
    row = (
        db.query(CommunityPool)
        .filter(CommunityPool.city == city, CommunityPool.closed.is_(False))
        .order_by(CommunityPool.period.desc())
        .first()
    )
    return {"city": city, "period": row.period if row else None, "cents": row.cents if row else 0}
