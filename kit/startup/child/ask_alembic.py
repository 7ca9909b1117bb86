"""Asks Alembic about a database, in the application's own interpreter: at head, and do models and schema agree?

Run as ``python ask_alembic.py look|build|upgrade ALEMBIC_INI ANSWER FLASK_APPLICATION ELSE WORDS [REVISION]``, with the words that the
startup gives ``alembic``, as JSON; needs nothing but Alembic; Python 3.8 and later. ``look`` runs the application's ``env.py`` as
``alembic check`` does, and migrates nothing. ``ANSWER`` becomes a file of JSON::

    {"current": [revision], "heads": [revision], "differences": [sentence], "differing": [table],
     "models": {table: [column]},      what env.py hands to Alembic as target_metadata
     "passed_over": [table],           of the database, hidden by a filter of env.py that takes no unknown table
     "handed": [number],               of the MetaData that it hands over, as the probe counts them
     "database": {table: [column]}}    what the migrations made

Tables are named as models name them, with the schema where it is not the default one.

``upgrade`` runs them through ``env.py`` up to the revision that stands last; its answer is ``{}``.

``build`` runs the revisions without ``env.py``, on an empty SQLite database in memory, or on the empty PostgreSQL
database that ``INCIDENT_SCRATCH`` names::

    {"tables": {table: [column as the probe describes it]}, "stopped": what ended it early, or null}

What ``look`` does a guard does as well: it holds the text between the two lines below.
"""

import atexit
import json
import os
import sys
from contextlib import contextmanager, suppress

# ---- below this line is the text of every guard


def configured(config_file, words):
    """Alembic's configuration, with the words of its command line. Flask-Migrate's file does not say that the scripts lie beside it."""
    from alembic.config import CommandLine, Config

    options, words = None, [os.path.expandvars(word) for word in words]
    with suppress(SystemExit):  # they may be another program's
        options = CommandLine().parser.parse_known_args(words)[0] if words else None
    config = Config(config_file, ini_section=options.name if options else "alembic", cmd_opts=options)
    beside = os.path.dirname(os.path.abspath(config_file))
    if not config.get_main_option("script_location") and os.path.exists(os.path.join(beside, "env.py")):
        config.set_main_option("script_location", beside.replace("%", "%%"))
    return config


@contextmanager
def in_application(config, named, otherwise):
    """Within the Flask application, where env.py asks for the current one; gives the configuration that it makes there.

    Which application that is, ``flask`` is asked: by its ``--app``, else FLASK_APP, ``.flaskenv`` or the usual files' names.
    """
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    try:
        with open(script.env_py_location, "rb") as file:
            asks = b"current_app" in file.read()
    except OSError:
        asks = False
    if not asks:
        yield config
        return
    from flask.cli import ScriptInfo, load_dotenv

    if os.environ.get("FLASK_SKIP_DOTENV", "0") in ("0", "false", "no", ""):
        load_dotenv()
    usual = any(os.path.exists(name) for name in ("wsgi.py", "app.py"))
    named = named or os.environ.get("FLASK_APP") or (None if usual else otherwise or None)
    application = ScriptInfo(app_import_path=named).load_app()
    with application.app_context():
        migrate = getattr(application.extensions.get("migrate"), "migrate", None)
        of_extension = os.path.join(script.dir, "alembic.ini")
        there = migrate is not None and os.path.exists(of_extension)
        if there and os.path.samefile(of_extension, config.config_file_name):
            config = migrate.get_config(script.dir)
        yield config


def number_of(metadata):
    """The number of a MetaData, by the probe, whose function stands around the class's own; none where there is no probe."""
    number = getattr(type(metadata).clear, "__globals__", {}).get("_number_of")
    return [] if number is None else [number(metadata)]


def compared(config_file, named, otherwise, words):
    """What Alembic says through the application's env.py: see ``look`` above."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import inspect

    config = configured(config_file, words)
    script = ScriptDirectory.from_config(config)
    state = {"heads": sorted(script.get_heads()), "current": None, "models": {}, "database": {}}
    state.update(handed=[], differences=[], differing=[], passed_over=[])

    def ask(revision, context):
        current = sorted(context.get_current_heads())
        if state["current"] is None or current != state["heads"]:  # of several databases one that is behind
            state["current"] = current
        metadata = context.opts.get("target_metadata")
        if metadata is None:
            state["differences"].append("env.py gives Alembic no target_metadata: it cannot compare")
            return []
        tables = []
        for target in metadata if isinstance(metadata, (list, tuple)) else [metadata]:
            state["handed"] += number_of(target)
            for key, table in target.tables.items():
                tables.append(table)
                state["models"][key] = sorted(str(column.name) for column in table.columns)
        inspector = inspect(context.connection)
        schemas = {table.schema for table in tables if table.schema} - {inspector.default_schema_name}
        for name, schema, key in tables_of(inspector, schemas):
            state["database"][key] = sorted(column["name"] for column in inspector.get_columns(name, schema))
        if takes_no_unknown_table(context):
            state["passed_over"] = sorted(set(state["database"]) - set(state["models"]) - {"alembic_version"})
        also = schemas if not context.opts.get("include_schemas") else set()
        if also:
            look_into(context, also)
        for difference in compare_metadata(context, metadata):
            for change in difference if isinstance(difference, list) else [difference]:
                if change[0] == "remove_table" and change[1].schema in also:
                    continue  # env.py never looks there: autogenerate would leave it
                sentence, table = describe(change)
                state["differences"].append(sentence)
                state["differing"].append(table)
        if context.dialect.name == "postgresql":
            for sentence, table in lacking_labels(inspector, tables):
                state["differences"].append(sentence)
                state["differing"].append(table)
        return []

    with in_application(config, named, otherwise) as config:
        script = ScriptDirectory.from_config(config)
        with EnvironmentContext(config, script, fn=ask, as_sql=False, dont_mutate=True):
            script.run_env()
    return {**state, "current": state["current"] or []}


def tables_of(inspector, schemas):
    """``(name, schema, key)`` of every table in the default schema and in these."""
    for schema in [None] + sorted(schemas):
        for name in inspector.get_table_names(schema=schema):
            yield name, schema, "%s.%s" % (schema, name) if schema else name


def takes_no_unknown_table(context):
    """Has env.py the comparison pass over whatever table is in the database and in no model, by its own filters?"""
    from sqlalchemy import MetaData, Table

    name = "a_table_that_nobody_has_named"
    by_object, by_name = context.opts.get("include_object"), context.opts.get("include_name")
    try:
        parents = {"schema_name": None, "schema_qualified_table_name": name}
        if by_name is not None and not by_name(name, "table", parents):
            return True
        return by_object is not None and not by_object(Table(name, MetaData()), name, "table", True, None)
    except Exception:  # one that knows its tables by heart
        return False


def look_into(context, schemas):
    """Have the comparison see these schemas too: without them their tables look as if no migration made them."""
    filters = context.opts.get("include_name")

    def include_name(name, kind, parents):
        if kind == "schema" and name is not None and name not in schemas:
            return False
        return filters is None or kind == "schema" or filters(name, kind, parents)

    context.opts.update(include_schemas=True, include_name=include_name)


def lacking_labels(inspector, tables):
    """Labels of the models' enumerated types that PostgreSQL's types do not have; Alembic does not compare them."""
    there = {}
    for enum in inspector.get_enums(schema="*"):
        there[enum["schema"], enum["name"]] = there[None, enum["name"]] = enum["labels"]
    labelled = set()
    for table in tables:
        for column in table.columns:
            kind = getattr(column.type, "item_type", column.type)
            labels = there.get((getattr(kind, "schema", None), getattr(kind, "name", None)))
            if labels is None or not getattr(kind, "native_enum", True) or not getattr(kind, "enums", None):
                continue
            lacking = [label for label in kind.enums if label not in labels]
            if lacking and kind.name not in labelled:
                labelled.add(kind.name)
                sentence = "type %s (of %s.%s) has no label %s in the database, which the models name"
                yield sentence % (kind.name, table.key, column.name, ", ".join(lacking)), table.key


def describe(difference):
    """One of Alembic's differences as a sentence, and the table that it is about."""
    kind = difference[0]
    if kind in ("add_table", "remove_table"):
        table = difference[1]
        name = table.key
        if kind == "add_table":
            return "no migration creates table %s, which the models name" % name, name
        return (
            "the models that env.py names have no table %s, which is in the database: autogenerate would drop it"
            % name,
            name,
        )
    if kind in ("add_column", "remove_column"):
        schema, table, column = difference[1:4]
        table = "%s.%s" % (schema, table) if schema else table
        where = "%s.%s" % (table, column.name)
        if kind == "add_column":
            return "no migration creates column %s, which the models name" % where, table
        return "the models that env.py names have no column %s, which is in the database" % where, table
    if kind.startswith("modify_") and len(difference) > 6:
        schema, table, column = difference[1:4]
        table = "%s.%s" % (schema, table) if schema else table
        old, new = map(plain, difference[5:7])
        return "column %s.%s: %s is %s in the database, %s in the models" % (table, column, kind[7:], old, new), table
    item = difference[1]
    table = getattr(getattr(item, "table", item), "key", None) or "?"
    disagreement = "models and database do not agree on %s %s of table %s"
    return disagreement % (kind.split("_", 1)[-1], getattr(item, "name", None) or "", table), str(table)


def plain(value):
    """A column's type, comment or server default as it is written, without the object that holds it."""
    value = getattr(value, "arg", value)
    return getattr(value, "text", value)


# ---- above this line is the text of every guard
def revision_of(error, folder):
    """Which revision an error came out of, and the line, as the beginning of a sentence; "" where none did."""
    tb, where, folder = error.__traceback__, "", os.path.join(os.path.realpath(folder), "")
    while tb is not None:
        file = os.path.realpath(tb.tb_frame.f_code.co_filename)
        if file.startswith(folder) and "revision" in tb.tb_frame.f_globals:
            at = (tb.tb_frame.f_globals["revision"], os.path.relpath(file), tb.tb_lineno)
            where = "revision %s, at %s:%s: " % at
        tb = tb.tb_next
    return where


def build(config_file, named, otherwise, words):
    """What the revisions make of an empty database, without running env.py: tables to their columns."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    if os.getcwd() not in sys.path:
        # As Flask has it, and whoever sets prepend_sys_path: revisions may import the application.
        sys.path.append(os.getcwd())
    script = ScriptDirectory.from_config(configured(config_file, words))
    url = os.environ.get("INCIDENT_SCRATCH")
    built = {"tables": {}, "stopped": None}

    def fill(connection):
        # A failed revision leaves a transaction that nothing can be read in: each has one of its own.
        options = {"fn": lambda revision, context: script._upgrade_revs("heads", revision), "script": script}
        context = MigrationContext.configure(connection, opts=dict(options, transaction_per_migration=bool(url)))
        try:
            with Operations.context(context):
                context.run_migrations()
        except Exception as error:  # a revision for another database, or one that asks env.py for something
            where = revision_of(error, script.dir)
            built["stopped"] = "%s%s: %s" % (where, type(error).__name__, str(error).partition("\n")[0])
            if url and hasattr(connection, "rollback"):  # before SQLAlchemy 2.0 nothing begins by itself
                connection.rollback()
        read_tables(connection, built["tables"])

    connected(url or "sqlite://", fill)
    return built


def upgrade(config_file, named, otherwise, words, revision):
    from alembic import command

    with in_application(configured(config_file, words), named, otherwise) as config:
        command.upgrade(config, revision)
    return {}


def connected(text, work):
    """Call ``work`` with a connection, by the URL's driver or whatever driver is installed here; also an asynchronous one."""
    from sqlalchemy.engine.url import make_url

    url, problem = make_url(text), None
    names = [url.drivername]
    if url.get_backend_name() == "postgresql":
        names += ["postgresql+" + driver for driver in ("psycopg2", "psycopg", "pg8000", "asyncpg")]
    for name in names:
        try:
            engine, is_async = engine_of(url if name == url.drivername else url.set(drivername=name))
        except Exception as error:  # not installed, or not known to this SQLAlchemy
            problem = problem or error
            continue
        if is_async:
            return run_async(engine, work)
        with engine.connect() as connection:
            return work(connection)
    raise problem


def engine_of(url):
    """An engine, and whether it is an asynchronous one."""
    if getattr(url.get_dialect(), "is_async", False):
        from sqlalchemy.ext.asyncio import create_async_engine

        return create_async_engine(url), True
    from sqlalchemy import create_engine

    return create_engine(url), False


def run_async(engine, work):
    import asyncio

    async def run():
        async with engine.connect() as connection:
            return await connection.run_sync(work)

    return asyncio.run(run())


def read_tables(connection, tables):
    """Every table of the database, but for the server's own, with its columns as the probe describes a model's."""
    from sqlalchemy import inspect

    inspector = inspect(connection)
    schemas = set()
    if connection.dialect.name == "postgresql":
        schemas = set(inspector.get_schema_names()) - {"information_schema", inspector.default_schema_name}
    for name, schema, key in tables_of(inspector, schemas):
        keys = inspector.get_pk_constraint(name, schema)["constrained_columns"]
        several = [constraint["column_names"] for constraint in inspector.get_unique_constraints(name, schema)]
        unique = {names[0] for names in several if len(names) == 1}
        foreign = {}
        for foreign_key in inspector.get_foreign_keys(name, schema):
            place = foreign_key["referred_schema"] + "." if foreign_key.get("referred_schema") else ""
            for column, target in zip(foreign_key["constrained_columns"], foreign_key["referred_columns"]):
                foreign.setdefault(column, []).append("%s%s.%s" % (place, foreign_key["referred_table"], target))
        indexed = {c for i in inspector.get_indexes(name, schema) for c in i["column_names"]}
        tables[key] = [
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
            for column in inspector.get_columns(name, schema)
        ]


def end():
    """End as Python does, but for taking the interpreter apart: a quarter of the processor, and nothing is asked any more."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    try:
        atexit._run_exitfuncs()
    finally:  # what is printed is not buffered
        os._exit(0)


if __name__ == "__main__":
    here = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [
        folder for folder in sys.path if os.path.realpath(folder) != here
    ]  # a module there is none of the application's
    kind, config_file, target, named, otherwise, words, *revision = sys.argv[1:]
    work = {"look": compared, "build": build, "upgrade": upgrade}[kind]
    answer = work(config_file, named, otherwise, json.loads(words), *revision)
    with open(target, "w") as file:
        json.dump(answer, file, default=str)
    end()
