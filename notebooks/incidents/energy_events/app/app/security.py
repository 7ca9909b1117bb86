"""Passwords, bearer tokens and the dependency that gives a route its user."""

import base64
import hashlib
import hmac
import secrets
import time
from typing import Optional

from fastapi import Depends, Header, HTTPException
from sqlalchemy.orm import Session

from app.config import settings
from app.db import get_db
from app.models import User

ITERATIONS = 200_000


def hash_password(password: str) -> str:
    """PBKDF2 with a salt of its own, as `salt$digest` in hex."""
    salt = secrets.token_bytes(16)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    return f"{salt.hex()}${digest.hex()}"


def check_password(password: str, stored: str) -> bool:
    salt, _, expected = stored.partition("$")
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), ITERATIONS)
    return hmac.compare_digest(digest.hex(), expected)


def _sign(payload: str) -> str:
    return hmac.new(settings.secret_key.encode(), payload.encode(), hashlib.sha256).hexdigest()


def make_token(user_id: int) -> str:
    """A signed token `user:expires:signature`, base64 for the header."""
    payload = f"{user_id}:{int(time.time()) + settings.token_minutes * 60}"
    return base64.urlsafe_b64encode(f"{payload}:{_sign(payload)}".encode()).decode()


def read_token(token: str) -> Optional[int]:
    """The user's id, or None for a token that is malformed, forged or too old."""
    try:
        payload, _, signature = base64.urlsafe_b64decode(token.encode()).decode().rpartition(":")
        user_id, expires = (int(part) for part in payload.split(":"))
    except ValueError:
        return None
    if not hmac.compare_digest(signature, _sign(payload)) or expires < time.time():
        return None
    return user_id


def get_current_user(
    authorization: Optional[str] = Header(None), db: Session = Depends(get_db)
) -> User:
    """FastAPI dependency: the user of the bearer token, or 401."""
    scheme, _, token = (authorization or "").partition(" ")
    user_id = read_token(token) if scheme.lower() == "bearer" else None
    user = db.get(User, user_id) if user_id is not None else None
    if user is None or not user.is_active:
        raise HTTPException(status_code=401, detail="Not signed in")
    return user


def current_user_id(user: User = Depends(get_current_user)) -> int:
    """For routes that need no more than the id."""
    return user.id
