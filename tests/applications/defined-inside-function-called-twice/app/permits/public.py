from sqlalchemy import select

from permits.audit import install_audit
from permits.db import Base, Session
from permits.models import Permit


class Public:
    def __init__(self):
        self.audit = install_audit(Base, "public")

    async def waiting(self):
        async with Session() as session:
            found = await session.execute(select(Permit).where(Permit.granted.is_(None)))
            return found.scalars().all()
