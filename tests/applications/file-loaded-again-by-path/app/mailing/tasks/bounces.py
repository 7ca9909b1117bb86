from sqlalchemy import Column, ForeignKey, Integer, String, Table

from mailing.db import metadata
from mailing.schedule import every

bounces = Table(
    "bounces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subscriber_id", ForeignKey("subscribers.id"), nullable=False),
    Column("answer", String(200)),
)


@every(hours=1)
def collect(connection):
    return connection.execute(bounces.select()).fetchall()
