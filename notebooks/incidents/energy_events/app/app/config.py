"""Settings of the service, read once from the environment.

Nothing of the service is imported here, so that every module may import this one.
"""

import os
from dataclasses import dataclass
from typing import List

DEFAULT_ORIGINS = "http://localhost:5173,https://drivers.example.com,https://merchants.example.com"


def _flag(name: str, default: bool) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    return value.strip().lower() in ("1", "true", "yes", "on")


def _list(name: str, default: str) -> List[str]:
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def _database_url() -> str:
    url = os.environ.get("DATABASE_URL", "sqlite:///./rewards.db")
    # Some hosts still hand out the scheme that SQLAlchemy dropped in 1.4.
    if url.startswith("postgres://"):
        url = "postgresql://" + url[len("postgres://") :]
    return url


@dataclass(frozen=True)
class Settings:
    """One value for each setting; the names are those of the environment in lower case."""

    database_url: str
    secret_key: str
    allowed_origins: List[str]
    log_level: str
    environment: str
    demo_mode: bool
    token_minutes: int
    nearby_radius_m: int


def load() -> Settings:
    """Read the environment; wrong numbers raise ValueError at startup."""
    return Settings(
        database_url=_database_url(),
        secret_key=os.environ.get("SECRET_KEY", "development-only"),
        allowed_origins=_list("ALLOWED_ORIGINS", DEFAULT_ORIGINS),
        log_level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        environment=os.environ.get("ENVIRONMENT", "development"),
        demo_mode=_flag("DEMO_MODE", False),
        token_minutes=int(os.environ.get("TOKEN_MINUTES", "60")),
        nearby_radius_m=int(os.environ.get("NEARBY_RADIUS_M", "1500")),
    )


settings = load()
