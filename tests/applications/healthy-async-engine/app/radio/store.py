from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import create_async_engine

from radio.models import Base


class Store:
    def __init__(self, url):
        self.engine = create_async_engine(url)

    async def prepare(self):
        async with self.engine.begin() as connection:
            await connection.run_sync(lambda sync: inspect(sync).get_table_names())
            await connection.run_sync(Base.metadata.create_all)
