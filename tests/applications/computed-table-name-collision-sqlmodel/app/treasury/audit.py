from datetime import datetime
from typing import Optional

from sqlmodel import Field, SQLModel


class AuditLog(SQLModel, table=True):
    """The yearly audit of the books."""

    id: Optional[int] = Field(default=None, primary_key=True)
    year: int
    auditor: str
    closed_at: Optional[datetime] = None
