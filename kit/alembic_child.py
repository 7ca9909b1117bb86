"""Asks Alembic about a database, in the application's own interpreter: at head, and do models and schema agree?

Run as ``python alembic_child.py look|build ALEMBIC_INI ANSWER``; needs nothing but Alembic; Python 3.8 and
later. ``look`` runs the application's ``env.py`` as ``alembic check`` does, and migrates nothing. ``ANSWER``
becomes a file of JSON::

    {"current": [revision], "heads": [revision], "differences": [sentence], "differing": [table],
     "models": {table: [column]},      what env.py hands to Alembic as target_metadata
     "database": {table: [column]}}    what the migrations made

``build`` runs the revisions on an empty SQLite database in memory, without ``env.py``::

    {"tables": {table: [column as the probe describes it]}, "stopped": what ended it early, or null}
"""

import json
import sys


def look(config_file):
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import inspect

    config = Config(config_file)
    script = ScriptDirectory.from_config(config)
    found = {
        "current": [],
        "heads": sorted(script.get_heads()),
        "differences": [],
        "differing": [],
        "models": {},
        "database": {},
    }

    def ask(revision, context):
        found["current"] += sorted(context.get_current_heads())
        metadata = context.opts.get("target_metadata")
        if metadata is None:
            found["differences"].append("env.py gives Alembic no target_metadata: it cannot compare")
            return []
        for one in metadata if isinstance(metadata, (list, tuple)) else [metadata]:
            for key, table in one.tables.items():
                found["models"][key] = sorted(str(column.name) for column in table.columns)
        inspector = inspect(context.connection)
        for name in inspector.get_table_names():
            found["database"][name] = sorted(column["name"] for column in inspector.get_columns(name))
        for difference in compare_metadata(context, metadata):
            for one in difference if isinstance(difference, list) else [difference]:
                sentence, table = describe(one)
                found["differences"].append(sentence)
                found["differing"].append(table)
        return []

    with EnvironmentContext(config, script, fn=ask, as_sql=False, dont_mutate=True):
        script.run_env()
    return found


def describe(difference):
    """One of Alembic's differences as a sentence, and the table that it is about."""
    kind = difference[0]
    if kind in ("add_table", "remove_table"):
        table = difference[1]
        name = table.key
        if kind == "add_table":
            return "no migration creates table %s, which the models name" % name, name
        return "the models do not name table %s, which the migrations create: autogenerate would drop it" % name, name
    if kind in ("add_column", "remove_column"):
        schema, table, column = difference[1:4]
        where = "%s.%s" % (table, column.name)
        if kind == "add_column":
            return "no migration creates column %s, which the models name" % where, table
        return "the models do not name column %s, which the migrations create" % where, table
    if kind.startswith("modify_"):
        schema, table, column = difference[1:4]
        old, new = difference[5], difference[6]
        return "column %s.%s: %s is %s in the database, %s in the models" % (table, column, kind[7:], old, new), table
    item = difference[1]
    table = getattr(getattr(item, "table", None), "name", None) or "?"
    said = "models and database do not agree on %s %s of table %s"
    return said % (kind.split("_", 1)[-1], getattr(item, "name", None) or "", table), str(table)


def build(config_file):
    """What the revisions make of an empty database, without running env.py: tables to their columns."""
    from alembic.config import Config
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine, inspect

    script = ScriptDirectory.from_config(Config(config_file))
    engine = create_engine("sqlite://")
    found = {"tables": {}, "stopped": None}
    with engine.connect() as connection:
        options = {"fn": lambda revision, context: script._upgrade_revs("heads", revision), "script": script}
        context = MigrationContext.configure(connection, opts=options)
        try:
            with Operations.context(context):
                context.run_migrations()
        except Exception as error:  # a revision for another database, or one that asks env.py for something
            found["stopped"] = "%s: %s" % (type(error).__name__, error)
        inspector = inspect(connection)
        for name in inspector.get_table_names():
            keys = inspector.get_pk_constraint(name)["constrained_columns"]
            unique = {
                c
                for u in inspector.get_unique_constraints(name)
                for c in u["column_names"]
                if len(u["column_names"]) == 1
            }
            foreign = {}
            for key in inspector.get_foreign_keys(name):
                for column, target in zip(key["constrained_columns"], key["referred_columns"]):
                    foreign.setdefault(column, []).append("%s.%s" % (key["referred_table"], target))
            indexed = {c for i in inspector.get_indexes(name) for c in i["column_names"]}
            found["tables"][name] = [
                {
                    "name": column["name"],
                    "type": repr(column["type"]),
                    "nullable": bool(column["nullable"]),
                    "primary_key": column["name"] in keys,
                    "unique": column["name"] in unique,
                    "index": column["name"] in indexed,
                    "default": None,
                    "server_default": column.get("default"),
                    "foreign_keys": sorted(foreign.get(column["name"], [])),
                }
                for column in inspector.get_columns(name)
            ]
    return found


if __name__ == "__main__":
    answer = {"look": look, "build": build}[sys.argv[1]](sys.argv[2])
    with open(sys.argv[3], "w") as file:
        json.dump(answer, file, default=str)
