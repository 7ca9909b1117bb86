"""HTTP entry point of the charging rewards service: `uvicorn app.main_simple:app`.

"Simple", because the main.py before it also started the reward jobs.
"""

import logging
import time
from typing import Any, Dict

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy.exc import IntegrityError

from app.config import settings
from app.middleware import install_middleware
from app.run_migrations import run_migrations

logging.basicConfig(level=settings.log_level, format="%(levelname)s [%(name)s] %(message)s")
logger = logging.getLogger("app.main")

from app.routers import auth, wallet, sessions, users, merchants, incentives, demo  # noqa: E402

VERSION = "1.9.0"
STARTED_AT = time.time()

TAGS = [
    {"name": "auth", "description": "Sign up, sign in, refresh and sign out."},
    {"name": "users", "description": "The profile, the preferences and the vehicles of a driver."},
    {"name": "wallet", "description": "The credit ledger and payouts."},
    {"name": "sessions", "description": "Stays at a charger, as the driver's app reports them."},
    {"name": "merchants", "description": "While You Charge: shops around a charger."},
    {"name": "incentives", "description": "Rules that reward a session."},
    {"name": "demo", "description": "Canned drivers for presentations; only in demo mode."},
]

app = FastAPI(
    title="Charging rewards",
    version=VERSION,
    description="Drivers earn while they charge and spend at the shops around the charger.",
    openapi_tags=TAGS,
    # The interactive pages are for developers, not for the public host.
    docs_url="/docs" if settings.environment != "production" else None,
    redoc_url=None,
)

install_middleware(app, settings)


# --- Errors --------------------------------------------------------------------------
#
# Every error body has the one key "detail", as FastAPI's own have: the apps show it.


@app.exception_handler(IntegrityError)
async def conflict(request: Request, error: IntegrityError) -> JSONResponse:
    """A unique key was hit: two requests wrote the same thing, and the first one won."""
    logger.warning("%s %s: %s", request.method, request.url.path, error.orig)
    return JSONResponse(status_code=409, content={"detail": "Already exists"})


@app.exception_handler(PermissionError)
async def forbidden(request: Request, error: PermissionError) -> JSONResponse:
    """Services raise PermissionError; they know nothing of HTTP."""
    return JSONResponse(status_code=403, content={"detail": str(error) or "Not allowed"})


@app.exception_handler(LookupError)
async def not_found(request: Request, error: LookupError) -> JSONResponse:
    """Services raise LookupError for what is not there."""
    detail = error.args[0] if error.args else "Not found"
    return JSONResponse(status_code=404, content={"detail": str(detail)})


# --- The service itself --------------------------------------------------------------


@app.get("/", include_in_schema=False)
def root() -> Dict[str, str]:
    return {"service": app.title, "version": VERSION}


@app.get("/health", include_in_schema=False)
def health() -> Dict[str, Any]:
    """For the load balancer: the process answers. It says nothing of the database,
    so that a short outage there does not take every instance out of rotation.
    """
    return {"ok": True, "version": VERSION, "uptime_seconds": round(time.time() - STARTED_AT)}


@app.get("/v1/config", tags=["users"])
def public_config() -> Dict[str, Any]:
    """What the apps need to know before anyone has signed in."""
    return {
        "environment": settings.environment,
        "demo_mode": settings.demo_mode,
        "nearby_radius_m": settings.nearby_radius_m,
        "token_minutes": settings.token_minutes,
        "features": {
            "payouts": settings.environment == "production",
            "reservations": False,
            "community_pool": True,
        },
    }


@app.get("/v1/legal", tags=["users"])
def legal() -> Dict[str, str]:
    """The texts that the apps link to, with the version that a user agrees to."""
    return {
        "terms": "/legal/terms-2025-09.html",
        "privacy": "/legal/privacy-2025-09.html",
        "version": "2025-09",
    }


@app.get("/.well-known/apple-app-site-association", include_in_schema=False)
def apple_links() -> Dict[str, Any]:
    """Which addresses of this host open the iOS app instead of the browser."""
    details = [{"appID": "EXAMPLE.com.example.drivers", "paths": ["/c/*", "/m/*", "/invite/*"]}]
    return {"applinks": {"apps": [], "details": details}}


@app.get("/robots.txt", include_in_schema=False)
def robots() -> PlainTextResponse:
    """Nothing here is for search engines."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


# --- Old addresses -------------------------------------------------------------------
#
# Apps before 1.4 still ask for these. They are answered here, not redirected: the old
# HTTP client of the app drops the Authorization header when it follows a redirect.

MINIMUM_APP = {"ios": "1.4.0", "android": "1.4.2"}


@app.get("/api/health", include_in_schema=False)
def old_health() -> Dict[str, Any]:
    return health()


@app.get("/api/minimum-version", include_in_schema=False)
def minimum_version(platform: str = "ios") -> Dict[str, str]:
    """The oldest app that may go on; an older one shows the page of the store."""
    if platform not in MINIMUM_APP:
        raise LookupError(f"No such platform: {platform}")
    return {"platform": platform, "minimum": MINIMUM_APP[platform]}


# --- Routers -------------------------------------------------------------------------

app.include_router(auth.router)
app.include_router(users.router)
app.include_router(wallet.router)
app.include_router(sessions.router)
app.include_router(merchants.router)
app.include_router(incentives.router)
if settings.demo_mode:
    app.include_router(demo.router)


# --- Migrations ----------------------------------------------------------------------
#
# The host gives no release phase to run them in, so the service does it itself. It
# starts one instance at a time: the first one migrates, and the others find nothing
# left to do.

try:
    logger.info("Running database migrations")
    run_migrations()
    logger.info("Database migrations complete")
except Exception:
    # Better a service with an old schema than none: /health must answer.
    logger.exception("Database migrations failed, starting without them")
