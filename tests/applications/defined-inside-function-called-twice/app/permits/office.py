from permits.audit import install_audit
from permits.db import Base, Session
from permits.models import Plot


class Office:
    def __init__(self):
        self.audit = install_audit(Base, "office")

    async def survey(self, register, street):
        async with Session() as session:
            session.add(Plot(register=register, street=street))
            await session.commit()
