"""Asks Alembic about a database, in the application's own interpreter: at head, and do models and schema agree?

Run as ``python alembic_child.py ALEMBIC_INI ANSWER``; needs nothing but Alembic; Python 3.8 and later.
``ANSWER`` becomes a file of JSON::

    {"current": [revision], "heads": [revision], "differences": [sentence], "differing": [table],
     "models": {table: [column]},      what env.py hands to Alembic as target_metadata
     "database": {table: [column]}}    what the migrations made

It runs the application's ``env.py`` as ``alembic check`` does; nothing is migrated.
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


if __name__ == "__main__":
    answer = look(sys.argv[1])
    with open(sys.argv[2], "w") as file:
        json.dump(answer, file, default=str)
