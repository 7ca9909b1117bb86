from sqlmodel import SQLModel

from treasury import audit, cash, members, trail
from treasury.db import engine

MODELS = (members.Member, cash.Booking, audit.AuditLog, trail.Auditlog)


def start():
    SQLModel.metadata.create_all(engine)
