"""An application on PostgreSQL for tests: types, a second schema, server defaults, migrations, and a duplicate.

``service/orders.py`` defines ``billing.orders`` as the migrations make it; ``service/legacy.py`` defines it again.
"""

import difflib
import textwrap

FILES = {
    "service/__init__.py": "",
    "service/db.py": """
        import os

        from sqlalchemy import create_engine
        from sqlalchemy.orm import declarative_base

        Base = declarative_base()
        engine = create_engine(os.environ["DATABASE_URL"])
    """,
    "service/orders.py": """
        import enum
        import uuid

        from sqlalchemy import Column, DateTime, Enum, ForeignKey, Index, Integer, Numeric, String, Text, func, text
        from sqlalchemy.dialects.postgresql import ARRAY, CITEXT, JSONB, TSVECTOR, UUID

        from service.db import Base


        class State(enum.Enum):
            open = "open"
            paid = "paid"


        class Customer(Base):
            __tablename__ = "customers"
            id = Column(UUID(as_uuid=True), primary_key=True, default=uuid.uuid4, server_default=text("gen_random_uuid()"))
            mail = Column(CITEXT, nullable=False, unique=True)


        class Order(Base):
            __tablename__ = "orders"
            __table_args__ = (Index("ix_orders_words", "words", postgresql_using="gin"), {"schema": "billing"})
            id = Column(Integer, primary_key=True)
            customer = Column(UUID(as_uuid=True), ForeignKey("customers.id"))
            state = Column(Enum(State, name="order_state", schema="billing"), nullable=False, server_default="open")
            lines = Column(JSONB, nullable=False, server_default=text("'[]'::jsonb"))
            tags = Column(ARRAY(Text), server_default="{}")
            words = Column(TSVECTOR)
            total = Column(Numeric(12, 2), server_default="0")
            made = Column(DateTime(timezone=True), server_default=func.now())
    """,
    "service/legacy.py": """
        from sqlalchemy import Column, Integer, String

        from service.db import Base


        class OldOrder(Base):
            __tablename__ = "orders"
            __table_args__ = {"schema": "billing"}
            id = Column(String, primary_key=True)
            amount = Column(Integer)
    """,
    "service/main.py": """
        import os

        from sqlalchemy import text

        from service import orders
        from service.db import engine

        with engine.begin() as connection:
            connection.execute(text("INSERT INTO customers (mail) VALUES ('Ada@example.com')"))
            connection.execute(text("INSERT INTO billing.orders (tags) VALUES (ARRAY['a', 'b'])"))
        print("I log in at", os.environ["DATABASE_URL"], "with", engine.url.password)
        from service import legacy
    """,
    "service/web.py": """
        import http.server
        import sys

        from sqlalchemy import text

        from service.db import engine


        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with engine.connect() as connection:
                    found = connection.execute(text("SELECT state, tags FROM billing.orders, customers WHERE mail = 'ADA@EXAMPLE.COM'")).all()
                self.send_response(200 if found == [("open", ["a", "b"])] else 500)
                self.end_headers()


        http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
    """,
    "alembic.ini": """
        [alembic]
        script_location = migrations
    """,
    "migrations/env.py": """
        from alembic import context
        from sqlalchemy import text

        from service import orders
        from service.db import Base, engine

        with engine.connect() as connection:
            context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
            with context.begin_transaction():
                context.run_migrations()
    """,
    "migrations/script.py.mako": "",
    "migrations/versions/one.py": """
        import sqlalchemy as sa
        from alembic import op
        from sqlalchemy.dialects import postgresql as pg

        revision = "one"
        down_revision = None


        def upgrade():
            op.execute("CREATE EXTENSION IF NOT EXISTS citext")
            op.execute("CREATE SCHEMA billing")
            op.create_table(
                "customers",
                sa.Column("id", pg.UUID(as_uuid=True), primary_key=True, server_default=sa.text("gen_random_uuid()")),
                sa.Column("mail", pg.CITEXT, nullable=False, unique=True),
            )
            op.create_table(
                "orders",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("customer", pg.UUID(as_uuid=True), sa.ForeignKey("customers.id")),
                sa.Column(
                    "state",
                    sa.Enum("open", "paid", name="order_state", schema="billing"),
                    nullable=False,
                    server_default="open",
                ),
                sa.Column("lines", pg.JSONB, nullable=False, server_default=sa.text("'[]'::jsonb")),
                sa.Column("tags", pg.ARRAY(sa.Text), server_default="{}"),
                sa.Column("words", pg.TSVECTOR),
                sa.Column("total", sa.Numeric(12, 2), server_default="0"),
                schema="billing",
            )
            op.create_index("ix_orders_words", "orders", ["words"], schema="billing", postgresql_using="gin")
    """,
    "migrations/versions/two.py": """
        import sqlalchemy as sa
        from alembic import op

        revision = "two"
        down_revision = "one"


        def upgrade():
            op.add_column(
                "orders", sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now()), schema="billing"
            )


        def downgrade():
            pass
    """,
}


def patch(changes: list[tuple[str, str, str]]) -> str:
    """Changes of the application, ``(file, before, after)``, as ``git diff`` writes them."""
    after = {name: textwrap.dedent(text) for name, text in FILES.items()}
    for name, old, new in changes:
        assert after[name].count(old) == 1, (name, old)
        after[name] = after[name].replace(old, new)
    lines = []
    for name, text in FILES.items():
        before = textwrap.dedent(text).splitlines(keepends=True)
        lines += difflib.unified_diff(before, after[name].splitlines(keepends=True), f"a/{name}", f"b/{name}")
    return "".join(lines)


_GONE = ("service/main.py", "from service import legacy\n", "")
FIXES = {
    "remove-legacy": patch([_GONE]),
    # What Alembic compares where env.py asks for it, and the label of a type, which it never compares.
    "drifts": patch(
        [
            _GONE,
            ("service/orders.py", "CITEXT, JSONB,", "CITEXT, JSON, JSONB,"),
            ("service/orders.py", "lines = Column(JSONB", "lines = Column(JSON"),
            ("service/orders.py", 'server_default="0"', 'server_default="1"'),
            ("service/orders.py", 'paid = "paid"', 'paid = "paid"\n    late = "late"'),
        ]
    ),
}
