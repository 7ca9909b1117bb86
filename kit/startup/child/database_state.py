"""Puts made-up rows into a database, or executes a file of statements; run as a script, by the application's Python.

``python database_state.py rows URL COUNT`` · ``python database_state.py sql URL FILE``; Python 3.8 and later. ``rows`` needs SQLAlchemy and
a driver, ``sql`` sqlite3 or psycopg. Row 1, 3, … of a table has only what the table demands, the others have every
column: so a table holds NULL wherever it allows that. Ends with 1 and a sentence where a table takes no row.
"""

import datetime
import decimal
import itertools
import os
import re
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

_OWN = ("alembic_version", "spatial_ref_sys")  # tables that hold no rows of the application
_MOST_TRIED = 60  # rows that are tried where a table's checks refuse the first
_LITERAL = re.compile(r"'((?:[^']|'')*)'|(?<![\w.])(-?\d+(?:\.\d+)?)(?![\w.])")


def rows(url, count):
    from ask_alembic import connected

    connected(os.environ.get("INCIDENT_SCRATCH") or url, lambda connection: fill(connection, int(count)))


def fill(connection, count):
    from sqlalchemy import MetaData, inspect

    metadata = MetaData()
    inspector = inspect(connection)
    schemas = [None]
    if connection.dialect.name == "postgresql":
        of_server = {"information_schema", inspector.default_schema_name}
        schemas += [name for name in inspector.get_schema_names() if name not in of_server]
    for schema in schemas:
        metadata.reflect(bind=connection, schema=schema)
    for table in metadata.sorted_tables:
        if table.name in _OWN:
            continue
        candidates = candidates_of(inspector, table)
        for number in range(1, count + 1):
            add(connection, table, number, candidates)
    if hasattr(connection, "commit"):
        connection.commit()


def add(connection, table, number, candidates):
    """Insert one row; where its checks refuse the plain one, the values that the checks themselves name are tried."""
    plain = values_of(connection, table, number)
    names = [name for name in candidates if name in plain]
    others = itertools.product(*(candidates[name] for name in names))
    error = None
    for choice in itertools.islice(itertools.chain([None], others), _MOST_TRIED):
        values = dict(plain, **(dict(zip(names, choice)) if choice is not None else {}))
        point = connection.begin_nested()
        try:
            connection.execute(table.insert().values(values) if values else table.insert())
        except Exception as refused:
            point.rollback()
            error = error or refused
            if not names:
                break
        else:
            point.commit()
            return
    sys.exit("table %s takes no made-up row: %s: %s" % (table.fullname, type(error).__name__, error))


def values_of(connection, table, number):
    """Column to value: what the table demands, and every second time all that it has."""
    values, whole = {}, number % 2 == 0
    for key in table.foreign_key_constraints:
        columns = list(key.columns)
        if whole or any(not column.nullable for column in columns):
            parent = parent_of(connection, key, number)
            values.update(zip((column.name for column in columns), parent or [None] * len(columns)))
    for column in table.columns:
        if column.name in values or column.foreign_keys:
            continue
        generated = getattr(column, "computed", None) is not None or getattr(column, "identity", None) is not None
        made = column.server_default is not None or generated or column is table._autoincrement_column
        if not made and (whole or not column.nullable or column.primary_key):
            values[column.name] = value_of(column.type, number)
    return values


def parent_of(connection, key, number):
    """What the row of that number, or the last one, of the table that a foreign key names has in its columns."""
    from sqlalchemy import select

    referred = [element.column for element in key.elements]
    try:
        query = select(*referred)
    except Exception:  # SQLAlchemy 1.3
        query = select(referred)
    rows = connection.execute(query.limit(number)).fetchall()
    return list(rows[-1]) if rows else None


def candidates_of(inspector, table):
    """Column to the values that a check on it names."""
    try:
        checks = inspector.get_check_constraints(table.name, schema=table.schema)
    except NotImplementedError:
        return {}
    candidates = {}
    for check in checks:
        text = check.get("sqltext") or ""
        literals = []
        for quoted, number in _LITERAL.findall(text):
            if number:
                value = decimal.Decimal(number) if "." in number else int(number)
                literals += [value, value + 1, value - 1]
            else:
                literals.append(quoted.replace("''", "'"))
        for column in table.columns:
            if literals and re.search(r"\b%s\b" % re.escape(column.name), text):
                candidates.setdefault(column.name, []).extend(literals)
    return candidates


def value_of(kind, number):
    """A made-up value of a column's type, another one for each number."""
    if getattr(kind, "enums", None):
        return kind.enums[0]
    name = type(kind).__name__.upper()
    if name in ("INET", "CIDR"):
        return "127.0.0.%d" % (number % 256)
    if name == "TSVECTOR" or "RANGE" in name:
        return None
    if name in ("JSON", "JSONB"):
        return {}
    if name == "ARRAY":
        return []
    if name == "UUID":
        return uuid.UUID(int=number) if getattr(kind, "as_uuid", False) else str(uuid.UUID(int=number))
    try:
        python = kind.python_type
    except NotImplementedError:
        python = str
    day = datetime.datetime(2020, 1, 1) + datetime.timedelta(days=number)
    made = {
        bool: False,
        int: number,
        float: float(number),
        decimal.Decimal: decimal.Decimal(number),
        bytes: b"%d" % number,
        datetime.datetime: day,
        datetime.date: day.date(),
        datetime.time: datetime.time(number % 24),
        datetime.timedelta: datetime.timedelta(days=number),
        uuid.UUID: uuid.UUID(int=number),
        dict: {},
        list: [],
    }
    if python in made:
        return made[python]
    text = "row %d" % number
    length = getattr(kind, "length", None)
    return text if not length or len(text) <= length else str(number)[-length:]


def sql(url, file):
    with open(file, encoding="utf-8") as text:
        statements = text.read()
    if url.startswith("sqlite"):
        import sqlite3

        connection = sqlite3.connect(url.partition("///")[2])
        connection.executescript(statements)
        connection.close()
        return
    import psycopg

    target = re.sub(r"^\w+(\+\w+)?://", "postgresql://", os.environ.get("INCIDENT_SCRATCH") or url)
    with psycopg.connect(target, autocommit=True) as connection:
        for kind, part, data in parts_of(statements):
            if kind == "copy":
                with connection.cursor().copy(part) as copy:
                    copy.write(data)
                continue
            try:
                connection.execute(part)
            except psycopg.Error:
                if kind != "setting":  # of another version of the server
                    raise


def parts_of(text):
    """A dump as ``(kind, statements, data)``: settings alone, data after its COPY, psql's own and owners left out."""
    held, lines = [], iter(text.splitlines())
    for line in lines:
        copies = re.match(r"(?i)COPY .* FROM stdin;\s*$", line)
        setting = re.match(r"(?i)SET [\w.]+ (=|TO) .*;\s*$", line)
        if (copies or setting) and held:
            yield "statements", "\n".join(held), None
            held = []
        if copies:
            data = "".join(row + "\n" for row in itertools.takewhile(r"\.".__ne__, lines))
            yield "copy", line.rstrip().rstrip(";"), data
        elif setting:
            yield "setting", line, None
        elif not re.match(r"(?i)\\|ALTER .* OWNER TO .*;\s*$|(GRANT|REVOKE) .*;\s*$", line):
            held.append(line)
    if any(line.strip() and not line.startswith("--") for line in held):
        yield "statements", "\n".join(held), None


if __name__ == "__main__":
    {"rows": rows, "sql": sql}[sys.argv[1]](*sys.argv[2:])
