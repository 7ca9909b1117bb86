from sqlalchemy import Column, DateTime, Float, Integer, Table

from weather.db import metadata

observations = Table(
    "observations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime),
    Column("celsius", Float),
    Column("millimetres", Float),
)
