from sqlalchemy import Column, Date, ForeignKey, Integer, String, Table

from toolshed.db import Base

tools = Table(
    "tools",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(60), nullable=False),
)

loans = Table(
    "loans",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("tool_id", ForeignKey("tools.id"), nullable=False),
    Column("neighbour", String(60), nullable=False),
    Column("back", Date),
)
