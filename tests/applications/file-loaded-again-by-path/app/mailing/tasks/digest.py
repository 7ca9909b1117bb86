from sqlalchemy import Column, DateTime, Integer, String, Table

from mailing.db import metadata
from mailing.schedule import every

runs = Table(
    "digest_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject", String(120), nullable=False),
    Column("sent_at", DateTime),
)


def render(subject, items):
    return "\n".join([subject, ""] + ["* " + item for item in items])


@every(hours=24)
def send(connection):
    connection.execute(runs.insert().values(subject="This week in the museum"))
