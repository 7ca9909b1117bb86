"""Stays at a charger, as the driver's app reports them."""

from typing import Any, Dict, List, Optional

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.db import get_db
from app.models import User
from app.security import get_current_user
from app.services import sessions

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


class Start(BaseModel):
    charger_id: str
    vehicle_id: Optional[int] = None


class Stop(BaseModel):
    kwh: float


@router.post("", status_code=201)
def start(
    body: Start, user: User = Depends(get_current_user), db: Session = Depends(get_db)
) -> Dict[str, int]:
    return {"id": sessions.start(db, user.id, body.charger_id, body.vehicle_id).id}


@router.post("/{session_id}/stop")
def stop(
    session_id: int,
    body: Stop,
    user: User = Depends(get_current_user),
    db: Session = Depends(get_db),
) -> Dict[str, int]:
    return {"cents": sessions.stop(db, user.id, session_id, body.kwh)}


@router.get("")
def recent(
    limit: int = Query(20, ge=1, le=100),
    user: User = Depends(get_current_user),
    db: Session = Depends(get_db),
) -> List[Dict[str, Any]]:
    return [
        {"id": s.id, "charger_id": s.charger_id, "started_at": s.started_at, "kwh": s.kwh}
        for s in sessions.recent(db, user.id, limit)
    ]
