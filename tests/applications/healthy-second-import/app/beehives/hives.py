from fastapi import APIRouter
from sqlalchemy import select

import beehives.models as entities
from beehives.db import Session

router = APIRouter(prefix="/hives")


@router.get("")
async def hives():
    async with Session() as session:
        found = await session.execute(select(entities.Hive))
        return [hive.name for hive in found.scalars()]
