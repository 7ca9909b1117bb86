"""While You Charge: the chargers, and what is around one of them."""

from typing import Any, Dict, List

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session

from app.config import settings
from app.db import get_db
from app.models_while_you_charge import Charger
from app.services import merchants

router = APIRouter(prefix="/v1/while-you-charge", tags=["merchants"])


@router.get("/chargers")
def chargers(
    limit: int = Query(50, ge=1, le=200), db: Session = Depends(get_db)
) -> List[Dict[str, Any]]:
    rows = db.query(Charger).filter(Charger.is_public.is_(True)).order_by(Charger.id).limit(limit)
    return [{"id": c.id, "name": c.name, "lat": c.lat, "lng": c.lng} for c in rows]


@router.get("/chargers/{charger_id}/merchants")
def around(charger_id: str, db: Session = Depends(get_db)) -> List[Dict[str, Any]]:
    charger = db.get(Charger, charger_id)
    if charger is None:
        raise LookupError("No such charger")
    return merchants.near(db, charger.lat, charger.lng, settings.nearby_radius_m)
