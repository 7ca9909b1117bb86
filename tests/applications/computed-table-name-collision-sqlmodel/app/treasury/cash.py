from typing import Optional

from sqlmodel import Field, SQLModel


class Booking(SQLModel, table=True):
    id: Optional[int] = Field(default=None, primary_key=True)
    member_id: Optional[int] = Field(default=None, foreign_key="member.id")
    cents: int
    purpose: str = ""
