import asyncio
import os

from radio.store import Store


def start():
    asyncio.run(Store(os.environ["DATABASE_URL"]).prepare())
