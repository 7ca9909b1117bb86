"""Drivers in a zone: events, merchants nearby and the Nova wallet."""

from typing import Any, Dict, List, Optional

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy.orm import Session

from app.config import settings
from app.db import get_db, utcnow
from app.models import User
from app.models_domain import DomainChargingSession, DomainMerchant, EnergyEvent
from app.security import get_current_user
from app.services import merchants, nova
from app.services.geo import distance_m, walk_seconds

router = APIRouter(prefix="/v1/drivers", tags=["drivers"])

JOIN_NOVA = 10


@router.get("/events")
def events(zone_slug: Optional[str] = None, db: Session = Depends(get_db)) -> List[Dict[str, Any]]:
    rows = db.query(EnergyEvent).filter(EnergyEvent.status == "active")
    if zone_slug is not None:
        rows = rows.filter(EnergyEvent.zone_slug == zone_slug)
    return [
        {"slug": e.slug, "name": e.name, "zone_slug": e.zone_slug, "starts_at": e.starts_at}
        for e in rows.order_by(EnergyEvent.starts_at)
    ]


@router.post("/events/{slug}/join", status_code=201)
def join(
    slug: str,
    charger_id: Optional[str] = None,
    user: User = Depends(get_current_user),
    db: Session = Depends(get_db),
) -> Dict[str, Any]:
    event = db.query(EnergyEvent).filter(EnergyEvent.slug == slug).one_or_none()
    if event is None:
        raise LookupError("No such event")
    if not event.is_open(utcnow()):
        raise HTTPException(status_code=409, detail="The event is not open")
    session = DomainChargingSession(
        driver_user_id=user.id, event_id=event.id, charger_id=charger_id
    )
    db.add(session)
    nova.grant(db, user.id, JOIN_NOVA, event, {"charger_id": charger_id})
    db.commit()
    return {"session_id": session.id}


@router.get("/merchants/nearby")
def nearby_merchants(
    lat: float = Query(..., ge=-90, le=90),
    lng: float = Query(..., ge=-180, le=180),
    radius_m: int = Query(settings.nearby_radius_m, ge=50, le=20_000),
    db: Session = Depends(get_db),
) -> Dict[str, Any]:
    """Where Nova can be spent, and where a perk can be had, around the driver."""
    found = []
    for merchant in db.query(DomainMerchant).filter(DomainMerchant.status == "active"):
        metres = distance_m(lat, lng, merchant.lat, merchant.lng)
        if metres <= radius_m:
            found.append(
                {
                    "id": merchant.id,
                    "name": merchant.name,
                    "category": merchant.category,
                    "distance_m": round(metres),
                    "walk_seconds": walk_seconds(metres),
                    "perk": merchant.perk_label,
                    "nova_cost": merchant.perk_cost,
                }
            )
    found.sort(key=lambda item: (item["distance_m"], item["id"]))
    return {"zone": found, "while_you_charge": merchants.near(db, lat, lng, radius_m)}


@router.get("/me/wallet")
def wallet(user: User = Depends(get_current_user), db: Session = Depends(get_db)) -> Dict[str, int]:
    row = nova.wallet_of(db, user.id)
    db.commit()
    return {"nova": row.nova_balance, "reputation": row.energy_reputation}
