import asyncio

from permits.db import Base, engine
from permits.office import Office
from permits.public import Public


async def serve():
    public, office = Public(), Office()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await office.survey("004/17", "Mill Lane")
    print("waiting:", len(await public.waiting()))
    await engine.dispose()


def run():
    asyncio.run(serve())
