from sqlalchemy import Column, Integer, String, Table

from checkout.db import metadata

orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("customer", String(80), nullable=False),
    Column("cents", Integer, nullable=False),
)
