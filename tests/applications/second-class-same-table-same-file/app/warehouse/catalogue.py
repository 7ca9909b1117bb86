from typing import Optional

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from warehouse.db import Base


class Part(Base):
    __tablename__ = "parts"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    description: Mapped[Optional[str]] = mapped_column(String(200))
