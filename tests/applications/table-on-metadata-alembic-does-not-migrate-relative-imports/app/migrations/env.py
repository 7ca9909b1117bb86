from alembic import context

from laboratory import results, samples  # noqa: F401
from laboratory.db import Base, engine

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
