"""The profile, the preferences and the vehicles of the signed-in driver."""

from typing import Any, Dict, Optional

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.db import get_db
from app.models import User, UserPreferences, Vehicle
from app.security import get_current_user

router = APIRouter(prefix="/v1/users", tags=["users"])


class PreferencesIn(BaseModel):
    units: str = "metric"
    food_tags: str = ""
    max_detour_m: int = 600
    notify: bool = True


class VehicleIn(BaseModel):
    make: str
    model: str
    battery_kwh: Optional[float] = None


@router.get("/me")
def profile(user: User = Depends(get_current_user)) -> Dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "display_name": user.display_name,
        "role": user.role,
        "vehicles": [{"id": v.id, "make": v.make, "model": v.model} for v in user.vehicles],
    }


@router.put("/me/preferences")
def set_preferences(
    body: PreferencesIn, user: User = Depends(get_current_user), db: Session = Depends(get_db)
) -> Dict[str, Any]:
    preferences = user.preferences or UserPreferences(user_id=user.id)
    preferences.units = body.units
    preferences.food_tags = body.food_tags
    preferences.max_detour_m = body.max_detour_m
    preferences.notify = body.notify
    db.add(preferences)
    db.commit()
    return {"ok": True}


@router.post("/me/vehicles", status_code=201)
def add_vehicle(
    body: VehicleIn, user: User = Depends(get_current_user), db: Session = Depends(get_db)
) -> Dict[str, int]:
    vehicle = Vehicle(
        user_id=user.id, make=body.make, model=body.model, battery_kwh=body.battery_kwh
    )
    db.add(vehicle)
    db.commit()
    return {"id": vehicle.id}
