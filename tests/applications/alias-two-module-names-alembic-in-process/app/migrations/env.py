import os
import sys

from alembic import context
from sqlalchemy import create_engine

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "dispatch"))

import models  # noqa: E402,F401
from dispatch.db import DATABASE_URL, Base  # noqa: E402

engine = create_engine(DATABASE_URL)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
