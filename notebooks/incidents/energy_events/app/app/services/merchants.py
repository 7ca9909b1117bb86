"""Shops near a point, nearest first, with the perk that a driver gets there."""

from typing import Any, Dict, List

from sqlalchemy.orm import Session

from app.models_while_you_charge import Merchant
from app.services.geo import distance_m, walk_seconds


def near(db: Session, lat: float, lng: float, radius_m: int) -> List[Dict[str, Any]]:
    """Active merchants within the radius."""
    found = []
    for merchant in db.query(Merchant).filter(Merchant.is_active.is_(True)):
        metres = distance_m(lat, lng, merchant.lat, merchant.lng)
        if metres > radius_m:
            continue
        perks = [perk for perk in merchant.perks if perk.is_active]
        found.append(
            {
                "id": merchant.id,
                "name": merchant.name,
                "category": merchant.category,
                "distance_m": round(metres),
                "walk_seconds": walk_seconds(metres),
                "perk": perks[0].title if perks else None,
                "nova_reward": perks[0].nova_reward if perks else 0,
            }
        )
    return sorted(found, key=lambda item: (item["distance_m"], item["id"]))
