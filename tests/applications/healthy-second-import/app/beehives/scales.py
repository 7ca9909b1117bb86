from fastapi import APIRouter
from sqlalchemy import func, select

from .db import Session

router = APIRouter(prefix="/scales")


@router.get("/{number}")
async def heaviest(number: int):
    from beehives.models import Weighing

    heaviest = select(func.max(Weighing.kilograms)).where(Weighing.hive_id == number)
    async with Session() as session:
        return (await session.execute(heaviest)).scalar()
