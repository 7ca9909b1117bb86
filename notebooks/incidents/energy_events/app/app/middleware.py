"""Middleware of the service: CORS, request ids, slow requests."""

import logging
import time
import uuid

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.config import Settings

logger = logging.getLogger("app.request")

SLOW_SECONDS = 2.0


class RequestId:
    """Give every response the request's id, and log the requests that took long.

    Plain ASGI: it must see the response of every inner layer, also streamed ones.
    """

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", uuid.uuid4().hex.encode())
        started = time.monotonic()

        async def send_with_id(message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id)]
            await send(message)

        await self.app(scope, receive, send_with_id)
        seconds = time.monotonic() - started
        if seconds > SLOW_SECONDS:
            logger.warning("%s %s took %.1f s", scope["method"], scope["path"], seconds)


def install_middleware(app: FastAPI, settings: Settings) -> None:
    """Add the layers; the one added last is the outermost."""
    app.add_middleware(RequestId)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
        max_age=600,
    )
