"""Gives the startup its environment: the scratch database's URL, stand-ins for what is read without a default."""

import ast
import re

from .deployments import Start
from .found import Discovery, Planned
from .project import Project, called, imports_of
from .settings import Database, Variable, database_of, examples_of, stand_in, variables_of


def fill_environment(found: Discovery, project: Project, sources: list[str], starts: list[Start], environment) -> None:
    migration = [file for file in project.below(found.service) if file.endswith("/env.py")]
    read = list(dict.fromkeys([*sources, *migration, *(f for f in project.python if _on_path(f, found.path))]))
    variables = variables_of(project, read)
    examples = examples_of(project, found.service)
    database = found.database = database_of(project, read, found.service, variables)
    chosen = next((one for one in starts if one not in found.others), None)
    deployed = chosen.env if chosen is not None else {}
    at = chosen.why if chosen is not None else ""
    known = {one.name for one in variables}
    urls = list(database.variables)
    flask = next((one for one in sources if "from_prefixed_env" in project.text(one)), None)
    if not urls and flask and "flask_sqlalchemy" in "".join(project.text(one) for one in project.with_database):
        prefix = re.search(r"from_prefixed_env\(\s*(?:prefix\s*=\s*)?['\"](\w+)", project.text(flask))
        urls = [
            Variable(
                f"{prefix[1] if prefix else 'FLASK'}_SQLALCHEMY_DATABASE_URI",
                project.at(flask, "from_prefixed_env"),
                False,
            )
        ]
    value, how = _url_for(found, project, database)
    for number, one in enumerate(urls):
        if not number and value == "{database_url}":
            found.database_env = one.name
            found.found.append(("the database's URL", one.name, f"read at {one.at}"))
        elif one.required or not number or _ranks_high(one.name):
            found.env[one.name] = (value, f"read at {one.at}{how}")
            found.found.append(("the database's URL", one.name, f"read at {one.at}"))
    if any("{database_url}" in one.text for one in found.startup):
        found.found.append(("the database's URL", "an option of the command", "see startup"))
    elif not urls:
        _without_url(found, database, project, variables)
    for one in variables:
        if one in urls or one.name in ("PORT", "HOST", "HOME", "PATH", "USER", "PWD", "TMPDIR") or not one.required:
            continue
        example, place = examples.get(one.name, (None, ""))
        if one.name in deployed and not example:
            example, place = deployed[one.name], at
        text = stand_in(one, example)
        taken = f", as in {place}" if example and text == example else ", a stand-in"
        found.env[one.name] = (text, f"read at {one.at} without a default{taken}")
    for name, text in deployed.items():
        asked = name in known or name.startswith(("FLASK_", "QUART_"))
        taken = name in found.env or name == "PORT" or any(name == one.name for one in urls)
        if asked and not taken and not re.search("SECRET|PASSWORD|TOKEN|KEY", name):
            found.env[name] = (text, f"set in {at}")
    if database.kind == "postgresql":
        found.found.append(("database", "postgresql", database.because))


def _on_path(file: str, path: list[str]) -> bool:
    return any(folder not in (".",) and file.startswith(f"{folder}/") for folder in path)


def _ranks_high(name: str) -> bool:
    return name in ("DATABASE_URL", "SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_DATABASE_URL", "DATABASE_URI", "DB_URL")


def _url_for(found: Discovery, project: Project, database: Database) -> tuple[str, str]:
    """What the URL's variable is given, and why, where it is not the scratch database's plainly."""
    if database.asynchronous is None or database.kind == "postgresql":
        return "{database_url}", ""
    made = database.asynchronous
    file = made.rpartition(":")[0]
    texts = [project.text(one) for one in {file, *project.with_database}]
    if any(re.search(r"replace\([^)]*sqlite|aiosqlite['\"]?\s*\)|drivername", text) for text in texts):
        return "{database_url}", ""  # it names the driver itself
    if found.python is not None and "aiosqlite" not in found.python.names:
        found.wanting.append(
            f"an asynchronous SQLite driver: {made} makes an asynchronous engine, and aiosqlite is not in the application's "
            "environment. Put it into a copy of that environment, or write 'database: postgresql'"
        )
    return "sqlite+aio{database_url}", f"; {made} makes an asynchronous engine: the URL becomes sqlite+aiosqlite://"


def _without_url(found: Discovery, database: Database, project: Project, variables: list[Variable]) -> None:
    if database.parts:
        names = ", ".join(f"{one.name} ({one.at})" for one in database.parts[:4])
        found.wanting.append(
            f"one variable for the database's URL: it is put together from {names}. An engine on another database than the scratch "
            "one is refused, and the page says so; registrations are seen all the same"
        )
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
    """Where the application's metadata are made; only told."""
    for file in sources:
        tree = project.tree(file)
        if tree is None or file not in project.with_database:
            continue
        imports = imports_of(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(b).rpartition(".")[2].startswith("DeclarativeBase") for b in node.bases
            ):
                found.found.append(("metadata", node.name, f"a declarative base at {file}:{node.lineno}"))
            elif isinstance(node, ast.Assign):
                callee = called(node.value, imports)
                last = callee.rpartition(".")[2]
                if callee.startswith(("sqlalchemy", "flask_sqlalchemy")) and last in (
                    "declarative_base",
                    "SQLAlchemy",
                    "MetaData",
                    "automap_base",
                ):
                    found.found.append(("metadata", ast.unparse(node.targets[0]), f"{last}() at {file}:{node.lineno}"))
    models = [
        file
        for file in sources
        if re.search(r"\btable\s*=\s*True", project.text(file)) and "sqlmodel" in project.text(file)
    ]
    if models:
        found.found.append(
            ("metadata", "SQLModel.metadata", f"SQLModel classes from {project.at(models[0], 'table')} on")
        )
