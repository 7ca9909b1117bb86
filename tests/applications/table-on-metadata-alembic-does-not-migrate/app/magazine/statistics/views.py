import datetime

from sqlalchemy import String, func
from sqlalchemy.orm import Mapped, mapped_column

from magazine.statistics.base import Base


class PageView(Base):
    __tablename__ = "page_views"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
