from fastapi import APIRouter
from sqlalchemy import select

from dispatch.db import Session
from dispatch.models import Rider

router = APIRouter(prefix="/riders")


@router.get("")
def riders():
    with Session() as session:
        return [rider.name for rider in session.execute(select(Rider)).scalars()]
