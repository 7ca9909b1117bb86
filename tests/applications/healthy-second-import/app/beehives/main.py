from contextlib import asynccontextmanager

from fastapi import FastAPI

from beehives import hives, models, registry, scales
from beehives.db import Base, engine


@asynccontextmanager
async def lifespan(app):
    assert registry.load() == [models]
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(title="beehives", lifespan=lifespan)
app.include_router(hives.router)
app.include_router(scales.router)
