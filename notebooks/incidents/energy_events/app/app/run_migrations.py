"""Bring the database to the newest revision when the service starts."""

import logging
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.db import SessionLocal, engine

logger = logging.getLogger("app.migrations")

ROOT = Path(__file__).resolve().parent.parent
ATTEMPTS = 5


def alembic_config() -> Config:
    """Alembic's configuration, for this database, wherever the service was started."""
    cfg = Config(str(ROOT / "alembic.ini"))
    cfg.attributes["configure_logging"] = False
    return cfg


def _wait_for_database() -> None:
    # A database container may come up after the service: try for some seconds.
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            return
        except OperationalError:
            if attempt == ATTEMPTS:
                raise
            logger.warning("Database not reachable, attempt %d of %d", attempt, ATTEMPTS)
            time.sleep(attempt)


def run_migrations() -> None:
    """Upgrade to head, then make sure that the first zone is there."""
    _wait_for_database()
    cfg = alembic_config()
    command.upgrade(cfg, "head")
    _seed_domain_chargers()


def _seed_domain_chargers() -> None:
    """The first zone and its two garages, unless they are there already."""
    from app.models_domain import Zone
    from app.models_while_you_charge import Charger

    with SessionLocal() as db:
        if db.get(Zone, "domain") is not None:
            return
        db.add(Zone(slug="domain", name="The Domain", center_lat=40.015, center_lng=-105.27))
        for name, lat, lng in [("North", 40.0161, -105.2712), ("South", 40.0138, -105.2689)]:
            key = f"domain-{name.lower()}"
            db.merge(Charger(id=key, name=f"{name} garage", lat=lat, lng=lng, plugs=8))
        db.commit()
    logger.info("Seeded the zone 'domain' and its chargers")
