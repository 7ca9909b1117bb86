"""Canned drivers for presentations; mounted in demo mode only."""

from typing import Any, Dict, List

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session

from app.db import get_db
from app.models_demo import DemoEvent, DemoProfile

router = APIRouter(prefix="/v1/demo", tags=["demo"])


@router.get("/profiles")
def profiles(db: Session = Depends(get_db)) -> List[Dict[str, Any]]:
    return [
        {"id": p.id, "scenario": p.scenario} for p in db.query(DemoProfile).order_by(DemoProfile.id)
    ]


@router.post("/profiles/{profile_id}/peak")
def set_peak(profile_id: int, on: bool = True, db: Session = Depends(get_db)) -> Dict[str, bool]:
    profile = db.get(DemoProfile, profile_id)
    if profile is None:
        raise LookupError("No such profile")
    profile.peak_hours = on
    db.add(DemoEvent(profile_id=profile.id, step="peak", detail=str(on)))
    db.commit()
    return {"peak_hours": on}
