from fastapi import APIRouter
from sqlalchemy import select

from dispatch.db import Session
from dispatch.models import Job

router = APIRouter(prefix="/jobs")


@router.get("")
def waiting():
    with Session() as session:
        statement = select(Job).where(Job.picked_up.is_(None))
        return [job.address for job in session.execute(statement).scalars()]
