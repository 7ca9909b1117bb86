import os

from sqlalchemy import Column, Integer, String, Table, create_engine
from sqlalchemy.orm import registry, sessionmaker

from allocation import domain

mapper_registry = registry()
metadata = mapper_registry.metadata
engine = create_engine(os.environ.get("DATABASE_URL", "sqlite://"))
Session = sessionmaker(bind=engine)

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("reference", String(30), nullable=False),
    Column("sku", String(30), nullable=False),
    Column("quantity", Integer, nullable=False),
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order", String(30)),
    Column("sku", String(30)),
    Column("quantity", Integer, nullable=False),
)


def start_mappers():
    mapper_registry.map_imperatively(domain.Batch, batches)
    mapper_registry.map_imperatively(domain.OrderLine, order_lines)
