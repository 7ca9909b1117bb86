"""Sign up, sign in, refresh and sign out."""

import hashlib
import secrets
from datetime import timedelta
from typing import Dict

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.db import get_db, utcnow
from app.models import RefreshToken, User
from app.security import check_password, get_current_user, hash_password, make_token

router = APIRouter(prefix="/v1/auth", tags=["auth"])

REFRESH_DAYS = 30


class Credentials(BaseModel):
    email: str
    password: str


class Refresh(BaseModel):
    refresh_token: str


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _tokens(db: Session, user: User) -> Dict[str, str]:
    """A new pair; of the refresh token only the digest is stored."""
    refresh = secrets.token_urlsafe(32)
    db.add(
        RefreshToken(
            user_id=user.id,
            token_hash=_digest(refresh),
            expires_at=utcnow() + timedelta(days=REFRESH_DAYS),
        )
    )
    db.commit()
    return {"token": make_token(user.id), "refresh_token": refresh}


@router.post("/register", status_code=201)
def register(body: Credentials, db: Session = Depends(get_db)) -> Dict[str, str]:
    if "@" not in body.email or len(body.password) < 8:
        raise HTTPException(status_code=422, detail="Invalid input")
    user = User(email=body.email.strip().lower(), password_hash=hash_password(body.password))
    db.add(user)
    db.flush()
    return _tokens(db, user)


@router.post("/login")
def login(body: Credentials, db: Session = Depends(get_db)) -> Dict[str, str]:
    user = db.query(User).filter(User.email == body.email.strip().lower()).one_or_none()
    if user is None or not check_password(body.password, user.password_hash):
        raise HTTPException(status_code=401, detail="Login failed")
    return _tokens(db, user)


@router.post("/refresh")
def refresh(body: Refresh, db: Session = Depends(get_db)) -> Dict[str, str]:
    stored = (
        db.query(RefreshToken)
        .filter(RefreshToken.token_hash == _digest(body.refresh_token))
        .one_or_none()
    )
    if stored is None or stored.revoked or stored.expires_at < utcnow():
        raise HTTPException(status_code=401, detail="Refresh failed")
    stored.revoked = True
    return _tokens(db, db.get(User, stored.user_id))


@router.post("/logout", status_code=204)
def logout(user: User = Depends(get_current_user), db: Session = Depends(get_db)) -> None:
    db.query(RefreshToken).filter(RefreshToken.user_id == user.id).update({"revoked": True})
    db.commit()
