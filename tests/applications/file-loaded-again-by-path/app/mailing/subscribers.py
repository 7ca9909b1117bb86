from sqlalchemy import Boolean, Column, Integer, String, Table

from mailing.db import metadata

subscribers = Table(
    "subscribers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("address", String(120), nullable=False, unique=True),
    Column("confirmed", Boolean, nullable=False, default=False),
)
