"""Gives the startup its environment: the scratch database's URL, stand-ins for what is read without a default."""

import ast
import re
from dataclasses import replace

from ...base.redact import shows_secret
from ...base.scan import kinds_in
from .deployments import Start
from .found import Discovery, Planned
from .project import Project, called, imports_of, nodes_of
from .settings import Database, Variable, database_of, examples_of, stand_in, variables_of, without_user


def fill_environment(found: Discovery, project: Project, sources: list[str], starts: list[Start], environment) -> None:
    migration = [file for file in project.below(found.service) if file.endswith("/env.py")]
    read = list(dict.fromkeys([*sources, *migration, *(f for f in project.python if _on_path(f, found.path))]))
    variables = variables_of(project, read)
    examples = examples_of(project, found.service)
    database = found.database = database_of(project, read, found.service, variables)
    chosen = next((one for one in starts if one not in found.others), None)
    deployed = chosen.env if chosen is not None else {}
    places = chosen.places if chosen is not None else {}
    known = {one.name for one in variables}
    urls = list(database.variables)
    flask = next((one for one in sources if "from_prefixed_env" in project.text(one)), None)
    if (
        not any(one.is_url for one in urls)
        and flask
        and "flask_sqlalchemy" in "".join(project.text(one) for one in project.with_database)
    ):
        prefix = re.search(r"from_prefixed_env\(\s*(?:prefix\s*=\s*)?['\"](\w+)", project.text(flask))
        urls = [
            Variable(
                f"{prefix[1] if prefix else 'FLASK'}_SQLALCHEMY_DATABASE_URI",
                project.at(flask, "from_prefixed_env"),
                False,
            )
        ]
    apart = [one for one in urls if "ASYNC" in one.name] if len(urls) > 1 else []
    driver, how = _driver_of(found, project, database)
    if urls and not apart and driver:
        found.database_driver = (driver, how)
    for number, one in enumerate([*(one for one in urls if one not in apart), *apart]):
        if one in apart:
            whole = "postgresql+{}://{{database_user}}:{{database_password}}@{{database_host}}:{{database_port}}/{{database_name}}"
            value = "sqlite+aio{database_url}" if database.kind == "sqlite" else whole.format(driver or "asyncpg")
        else:
            value = "{database_url}"
        if not number:
            found.database_env = one.name
        elif one.required or one.used or one in apart or _ranks_high(one.name):
            found.env[one.name] = (value, one.told)
        found.found.append(("the database's URL", one.name, one.told))
    if any("{database_url}" in one.text for one in found.startup):
        found.found.append(("the database's URL", "an option of the command", "see startup"))
    elif not urls:
        _without_url(found, database, project, variables)
        database = found.database
    for one in variables:
        if (
            one in urls
            or one.name in found.env
            or one.name in ("PORT", "HOST", "HOME", "PATH", "USER", "PWD", "TMPDIR")
            or not one.required
        ):
            continue
        example, place = examples.get(one.name, (None, ""))
        if one.name in deployed and not example:
            example, place = deployed[one.name], places.get(one.name, chosen.why)
        text = stand_in(one, example)
        taken = f", as in {place}" if example and text == example else ", a stand-in"
        found.env[one.name] = (text, f"read at {one.at} without a default{taken}")
    for name, text in deployed.items():
        asked = name in known or name.startswith(("FLASK_", "QUART_"))
        taken = name in found.env or name == "PORT" or any(name == one.name for one in urls)
        at = places.get(name, chosen.why)
        if not asked or taken or re.search("SECRET|PASSWORD|TOKEN|KEY", name):
            continue
        text = without_user(text)
        if shows_secret(text) or kinds_in(text):
            found.notes.append(f"{name}: {at} sets it to a secret, so it is left out here")
        else:
            found.env[name] = (text, f"set in {at}")
    if database.kind == "postgresql":
        found.found.append(("database", "postgresql", database.because))


def _on_path(file: str, path: list[str]) -> bool:
    return any(folder not in (".",) and file.startswith(f"{folder}/") for folder in path)


def _ranks_high(name: str) -> bool:
    return name in ("DATABASE_URL", "SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_DATABASE_URL", "DATABASE_URI", "DB_URL")


def _driver_of(found: Discovery, project: Project, database: Database) -> tuple[str | None, str]:
    """The driver that the URL must name, and why; None where the library's own default, or the application, sees to it."""
    installed = found.python.names if found.python is not None else frozenset()
    texts = [project.text(one) for one in project.with_database]
    if any(re.search(r"replace\([^)]*(?:sqlite|postgres)|drivername|\.set\(\s*drivername", text) for text in texts):
        return None, ""  # it writes the driver into the URL itself
    made = database.asynchronous
    if made is not None:
        wanted = (
            "aiosqlite"
            if database.kind == "sqlite"
            else "psycopg"
            if "asyncpg" not in installed and "psycopg" in installed
            else "asyncpg"
        )
        if found.python is not None and wanted not in installed:
            found.wanting.append(
                f"an asynchronous driver: {made} makes an asynchronous engine, and {wanted} is not in the application's environment. "
                f"Put it into a copy of that environment, or write 'database: {'postgresql' if database.kind == 'sqlite' else 'sqlite'}'"
            )
        return wanted, f"an asynchronous engine is made at {made}"
    if database.kind == "postgresql" and "psycopg2" not in installed:
        for name in ("psycopg", "pg8000"):
            if name in installed:
                return name, "the driver in the application's environment"
    return None, ""


_PART = (
    ("host", "HOST|HOSTNAME|SERVER"),
    ("port", "PORT"),
    ("user", "USER|USERNAME"),
    ("password", "PASS|PASSWORD"),
    ("name", "NAME|DB|DATABASE"),
)


def _parts_of(database: Database) -> dict[str, tuple[str, Variable]]:
    """Variables that hold parts of the URL: name to placeholder; empty where host and name are not among them."""
    found = {}
    for one in database.parts:
        for part, endings in _PART:
            if re.search(rf"_?(?:{endings})$", one.name):
                found[one.name] = (f"{{database_{part}}}", one)
                break
    values = {value for value, _ in found.values()}
    return found if {"{database_host}", "{database_name}"} <= values else {}


def _without_url(found: Discovery, database: Database, project: Project, variables: list[Variable]) -> None:
    parts = _parts_of(database)
    if parts:
        found.env |= {name: (value, f"read at {one.at}") for name, (value, one) in parts.items()}
        if all(value != "{database_port}" for value, _ in parts.values()):
            found.env["PGPORT"] = (
                "{database_port}",
                "the sources read no port; PostgreSQL's own library takes it from here",
            )
        names = ", ".join(parts)
        found.database = replace(database, kind="postgresql", because=f"the URL is put together from {names}")
        found.found.append(("the database's URL", f"put together from {names}", f"read from {database.parts[0].at} on"))
        return
    if _settings_file(found, project):
        return
    plain = [(text, at) for text, at in database.literals if not re.match(r"sqlite(\+\w+)?:///(?!/)", text)]
    if plain:
        text, at = plain[0]
        shown = re.sub(r"//[^@/]*@", "//***@", text)
        files = [one for one in variables if re.search(r"(CONFIG|CONF|SETTINGS|INI)(_FILE|_PATH)?$", one.name)]
        named = f" ({files[0].name}, read at {files[0].at}, seems to name one)" if files else ""
        found.wanting.append(
            f"a variable for the database's URL: {at} names {shown} itself. An engine on it is refused, since it is not the scratch "
            "database; registrations are seen all the same. Where a settings file can "
            f"name another{named}, let a step under 'prepare' write one with {{database_url}} in it, and name that file in app.env"
        )
    elif database.literals:
        text, at = database.literals[0]
        found.found.append(("the database's URL", text, f"written at {at}, a file in the copy"))
    else:
        found.wanting.append(
            "the variable that names the database: DATABASE_URL is set, and nothing that was read asks for it"
        )


def _settings_file(found: Discovery, project: Project) -> bool:
    """Flask applications whose settings are a file that a variable names: one is written for the run, if so."""
    for file in project.python:
        text = project.text(file)
        if "SQLALCHEMY_DATABASE_URI" not in "".join(project.text(one) for one in project.python):
            return False
        read = re.search(r"from_envvar\(\s*['\"](\w+)['\"]", text)
        if not read and (by := re.search(r"from_pyfile\(\s*(\w+)\s*[,)]", text)):
            read = re.search(rf"\b{by[1]}\s*=\s*os\.(?:environ\.get\(|environ\[|getenv\()\s*['\"](\w+)['\"]", text)
        if not read:
            continue
        at = project.at(file, read[0])
        line = "SQLALCHEMY_DATABASE_URI = '{database_url}'"
        found.prepare.append(
            Planned(
                "command", f'echo "{line}" > incident-settings.py', f"{at} reads a settings file that {read[1]} names"
            )
        )
        before = f'{read[1]}="$PWD/incident-settings.py" '
        found.startup = [
            Planned(one.kind, before + one.text, one.why) if one.kind in ("serve", "command") else one
            for one in found.startup
        ]
        if found.alembic and "command" in found.alembic.check:
            found.alembic.check["command"] = before + found.alembic.check["command"]
        found.found.append(
            (
                "the database's URL",
                "SQLALCHEMY_DATABASE_URI",
                f"in the settings file that {read[1]} names, read at {at}",
            )
        )
        return True
    return False


def name_metadata(found: Discovery, project: Project, sources: list[str]) -> None:
    """Where the application's metadata are made, each once; only told."""
    bases: list[tuple[str, str]] = []
    plain: dict[tuple[str, str], str] = {}  # (file, name) of a MetaData(): where
    handed: set[tuple[str, str]] = set()  # those that a base takes for its own
    for file in sources:
        tree = project.tree(file)
        if tree is None or file not in project.with_database:
            continue
        imports = imports_of(tree)
        inner: set[ast.AST] = set()
        for node in nodes_of(tree):
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(b).rpartition(".")[2].startswith("DeclarativeBase") for b in node.bases
            ):
                bases.append((node.name, f"a declarative base at {file}:{node.lineno}"))
                inner |= {one for one in node.body if isinstance(one, ast.Assign | ast.AnnAssign)}
                handed |= {_place_of(file, one.value, imports) for one in inner if one.value is not None}
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                callee = called(node.value, imports)
                last = callee.rpartition(".")[2]
                if not callee.startswith(("sqlalchemy", "flask_sqlalchemy")):
                    continue
                name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
                if last in ("declarative_base", "SQLAlchemy", "automap_base"):
                    bases.append((name, f"{last}() at {file}:{node.lineno}"))
                    given = [one.value for one in node.value.keywords if one.arg == "metadata"]
                    handed |= {_place_of(file, one, imports) for one in given}
                elif last == "MetaData" and node not in inner:
                    plain[file, name] = f"MetaData() at {file}:{node.lineno}"
    bases += [(name, said) for (file, name), said in plain.items() if _place_in(file, name) not in handed]
    found.found += [("metadata", name, said) for name, said in bases]
    models = [
        file
        for file in sources
        if re.search(r"\btable\s*=\s*True", project.text(file)) and "sqlmodel" in project.text(file)
    ]
    if models:
        found.found.append(
            ("metadata", "SQLModel.metadata", f"SQLModel classes from {project.at(models[0], 'table')} on")
        )


def _place_in(file: str, name: str) -> tuple[str, str]:
    """A module's name, by its last part, and a variable of it."""
    return file.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2], name


def _place_of(file: str, node: ast.expr, imports: dict[str, str]) -> tuple[str, str]:
    """What a name stands for, as ``_place_in`` has it."""
    name = ast.unparse(node)
    module, _, last = imports.get(name, "").rpartition(".")
    return (module.rpartition(".")[2], last) if module else _place_in(file, name)
