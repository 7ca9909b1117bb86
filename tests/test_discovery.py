"""What reading tells: interpreters where each tool keeps them, command lines as steps, variables and stand-ins."""

import base64
import hashlib
from pathlib import Path
from textwrap import dedent

import pytest
from test_new import store, written

from kit.new.discovery.commands import translate
from kit.new.discovery.deployments import starts_of
from kit.new.discovery.discover import told
from kit.new.discovery.interpreters import Interpreter, interpreters_of
from kit.new.discovery.layout import find_path
from kit.new.discovery.objects import objects_of
from kit.new.discovery.programs import Programs
from kit.new.discovery.project import Project
from kit.new.discovery.routes import routes_of
from kit.new.discovery.settings import database_of, stand_in, variables_of


def made(place: Path, *packages: str) -> Path:
    """An environment as it lies on the disk."""
    site = place / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    (place / "bin").mkdir()
    (place / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")  # whoever starts it is seen
    (place / "bin" / "python").chmod(0o755)
    (place / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    for name in packages:
        (site / name).mkdir()
        (site / f"{name}-2.0.1.dist-info").mkdir()
    return place


def poetrys(root: Path) -> str:
    digest = hashlib.sha256(str(root.resolve()).encode()).digest()
    return f"the-store-{base64.urlsafe_b64encode(digest).decode()[:8]}-py3.12"


PLACES = {
    "in the application's folder": lambda root, home: root / "venv",
    "poetry's environment": lambda root, home: home / ".cache" / "pypoetry" / "virtualenvs" / poetrys(root),
    "hatch's environment": lambda root, home: home / ".local/share/hatch/env/virtual/The Store/x/the-store",
    "pipenv's environment": lambda root, home: home / ".local/share/virtualenvs/app-1",
    "VIRTUAL_ENV": lambda root, home: home / "active",
    "beside the application's folder": lambda root, home: root.parent / "env-of-the-store",
    ".python-version, with pyenv": lambda root, home: home / ".pyenv" / "versions" / "the-store",
    "with conda": lambda root, home: home / "miniforge3" / "envs" / "the-store",
    ".pdm-python": lambda root, home: home / "pdm-env",
}


@pytest.mark.parametrize("why", PLACES)
def test_an_interpreter_is_found_where_its_tool_keeps_it(why, tmp_path):
    root, home = written(tmp_path / "work" / "app", store()), tmp_path / "home"
    (root / "pyproject.toml").write_text('[project]\nname = "The Store"\n')
    place = made(PLACES[why](root, home), "sqlalchemy")
    (root / ".python-version").write_text("the-store\n" if "pyenv" in why else "")
    (root / "environment.yml").write_text("name: the-store\n" if "conda" in why else "")
    (root / ".pdm-python").write_text(f"{place}/bin/python\n" if "pdm" in why else "")
    if "pipenv" in why:
        (place / ".project").write_text(f"{root}\n")
    variables = {"HOME": str(home), **({"VIRTUAL_ENV": str(place)} if why == "VIRTUAL_ENV" else {})}
    if "poetry" in why:
        (root / "pyproject.toml").write_text('[tool.poetry]\nname = "the-store"\n')
    found = list(interpreters_of(Project(root), ".", variables))
    assert found and found[0].python == place / "bin" / "python" and why in found[0].why
    assert "sqlalchemy" in found[0].names and found[0].version_of("SQLAlchemy") == "2.0.1"


NEIGHBOURS = {
    "a library's that is installed": {"shop/types_.py": "import sqlalchemy\n", "shop/sqlalchemy.py": ""},
    "a library's that is not, and it is imported in the file of that name": {"shop/docker.py": "import docker\n"},
    "one of Python's own": {"shop/pay.py": "import stripe\n", "shop/stripe.py": "", "shop/types.py": ""},
}


@pytest.mark.parametrize("named", NEIGHBOURS)
def test_a_package_whose_module_is_named_as(named, tmp_path):
    """Its folder on the path would put that module before the one that is meant, and give every other one a second name."""
    root = written(tmp_path / "app", {"main.py": "import shop.pay\n", "shop/__init__.py": "", **NEIGHBOURS[named]})
    place = made(tmp_path / "env", "sqlalchemy")
    path, reasons = find_path(Project(root), ".", Interpreter(place / "bin" / "python", "given"))
    assert (path, reasons) == (["."], [])


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        (
            "alembic upgrade head && exec uvicorn a.b:app --host 0.0.0.0 --port ${PORT:-80} --reload --workers 4",
            ["command: alembic upgrade head", "serve: uvicorn a.b:app --host 127.0.0.1 --port {port}"],
        ),
        (["gunicorn", "-w4", "-b", "0.0.0.0:80", "a:b"], ["serve: gunicorn -w 1 -b 127.0.0.1:{port} a:b"]),
        ("gunicorn -k uvicorn.workers.UvicornWorker a:b -D", ["serve: gunicorn -k uvicorn.workers.UvicornWorker a:b --bind 127.0.0.1:{port}"]),
        (["/bin/sh", "-c", "poetry run flask --app a run -h 0.0.0.0 -p $PORT"], ["serve: flask --app a run -h 127.0.0.1 -p {port}"]),
        ("dumb-init -- wait-for-it.sh db:5432 -t 30 -- fastapi dev app/main.py", ["serve: fastapi run app/main.py --port {port}"]),
        ("newrelic-admin run-program hypercorn a:b --bind 0.0.0.0:80", ["serve: hypercorn a:b --bind 127.0.0.1:{port}"]),
        ("celery -A store.jobs worker -l info", ["import: store.jobs"]),
        ("python -m app.load || true; waitress-serve --listen=*:80 a:b", ["command: python -m app.load", "serve: waitress-serve --listen=127.0.0.1:{port} a:b"]),
        ("uvicorn a:b | tee log.txt", ["serve: uvicorn a:b --port {port}"]),
        ("uv run --no-dev -m uvicorn a:b --port 80 --ssl-keyfile k.pem", ["serve: uvicorn a:b --port {port}"]),
    ],
)  # fmt: skip
def test_a_deployments_command_becomes_steps_for_the_sandbox(command, steps):
    assert [f"{kind}: {text}" for kind, text in translate(command).steps] == steps


def test_variables_of_every_usual_reader_are_found_with_whether_they_have_a_default(tmp_path):
    sources = """
        import os
        from decouple import config
        from environs import Env
        from starlette.config import Config

        A = os.environ["PLAIN"]
        B = os.getenv("OPTIONAL")
        C = config("DECOUPLED")
        D = config("DECOUPLED_DEFAULT", default=1)
        env = Env()
        E = env.int("ENVIRONS")
        settings = Config(".env")
        F = settings("STARLETTE", cast=bool)
        os.environ["SET_BY_ITSELF"] = "1"
        I = os.environ["SET_BY_ITSELF"]
        if "GUARDED" in os.environ:
            G = os.environ["GUARDED"]
        try:
            H = os.environ["TRIED"]
        except KeyError:
            H = None
    """
    project = Project(written(tmp_path, {"settings.py": sources}))
    found = {one.name: one.required for one in variables_of(project, project.python)}
    required = {name for name, must in found.items() if must}
    assert required == {"PLAIN", "DECOUPLED", "ENVIRONS", "STARLETTE"}
    assert set(found) == required | {"OPTIONAL", "DECOUPLED_DEFAULT", "GUARDED", "TRIED", "SET_BY_ITSELF"}


# Ways to the environment's variables by another name; each reads NEEDED without a default and LEFT with one.
RENAMED = {
    "a parameter's default": "def load(environ=os.environ):\n    return environ['NEEDED'], environ.get('LEFT', '')\n",
    "a parameter's default, by its key": "def load(*, get=os.environ.get, e=os.environ):\n    return get('LEFT'), e['NEEDED']\n",
    "a name": "env = os.environ\nget = os.getenv\nA, B = env['NEEDED'], get('LEFT')\n",
    "a copy": "env = dict(os.environ)\nA, B = env['NEEDED'], env.get('LEFT')\n",
    "a parameter that may be left out": "def load(env=None):\n    env = env if env is not None else os.environ\n    return env['NEEDED'], env.get('LEFT')\n",
    "an argument": "def load(env):\n    return env['NEEDED'], env.get('LEFT')\nload(os.environ)\n",
    "an attribute": "class S:\n    def __init__(self, env=os.environ):\n        self.env = env\n    def load(self):\n        return self.env['NEEDED'], self.env.get('LEFT')\n",
}


@pytest.mark.parametrize("way", RENAMED)
def test_variables_are_found_where_the_environment_has_another_name(way, tmp_path):
    other = "def other(env, get):\n    return env['NONE'], get('NONE'), {}['NONE']\n"
    project = Project(written(tmp_path, {"settings.py": f"import os\n{RENAMED[way]}{other}"}))
    found = {one.name: one.required for one in variables_of(project, project.python)}
    assert found == {"NEEDED": True, "LEFT": False}


TWO_CLASSES = """
class Store(BaseSettings):
    model_config = dict(env_prefix='STORE_')
    place: str

class Admin(BaseSettings):
    model_config = dict(env_prefix='ADMIN_')
    place: str

"""

# Sources, and the variables that are handed over as the database's URL in them.
HANDED_OVER = {
    "a setting of Flask": ({"a.py": "class C:\n    SQLALCHEMY_DATABASE_URI = os.environ['STORE']\n"}, ["STORE"]),
    "a setting given by its key": ({"a.py": "app.config['SQLALCHEMY_DATABASE_URI'] = os.getenv('STORE') or 'sqlite://'\n"}, ["STORE"]),
    "a setting among others": ({"a.py": "app.config.update(SQLALCHEMY_DATABASE_URI=os.environ['STORE'], NAME=os.environ['NAME'])\n"}, ["STORE"]),
    "an engine's argument": ({"a.py": "engine = create_async_engine(os.environ['STORE'].replace('a', 'b'), echo=True)\n"}, ["STORE"]),
    "a name of the module": ({"a.py": "place = os.environ['STORE']\nengine = create_engine(url=place)\n"}, ["STORE"]),
    "a name of another module": (
        {"shop/places.py": "place = os.environ['STORE']\n", "shop/db.py": "from .places import place\nengine = create_engine(place)\n",
         "shop/other.py": "place = os.environ['WAREHOUSE']\n"},
        ["STORE"],
    ),
    "an attribute of settings": (
        {"shop/places.py": "from django.conf import settings\nSTORE_AT = os.environ['STORE']\n", "db.py": "engine = create_engine(settings.STORE_AT)\n"},
        ["STORE"],
    ),
    "a field of settings": (
        {"a.py": "class S(BaseSettings):\n    model_config = dict(env_prefix='SHOP_')\n    store: str\n    name: str\n", "b.py": "engine = create_engine(str(get_settings().store))\n"},
        ["SHOP_STORE"],
    ),
    "a field of settings, of which another class has one too": (
        {"a.py": TWO_CLASSES + "settings = Store()\n", "b.py": "from a import settings\nengine = create_engine(str(settings.place))\n"},
        ["STORE_PLACE"],
    ),
    "a field of settings that a function makes, of which another class has one too": (
        {"a.py": TWO_CLASSES + "def get_settings() -> Store:\n    return Store()\ndef admin():\n    return Admin()\n",
         "b.py": "import a\ndef connect(settings):\n    return create_engine(settings.place)\nconnect(a.get_settings())\n"},
        ["STORE_PLACE"],
    ),
    "a field of the settings in others, through a property": (
        {"a.py": TWO_CLASSES.rstrip() + "\n    @property\n    def url(self):\n        return self.place\n\nclass All(BaseSettings):\n    admin: Admin = Admin()\n    store: Store\n",
         "b.py": "from a import All\nengine = create_engine(All().admin.url)\n"},
        ["ADMIN_PLACE"],
    ),
    "a field of settings, of which class nobody can tell": (
        {"a.py": TWO_CLASSES, "b.py": "engine = create_engine(str(get_settings().place))\n"}, ["ADMIN_PLACE", "STORE_PLACE"]
    ),
    "Alembic's option": ({"env.py": "def url():\n    return os.environ['STORE']\nconfig.set_main_option('sqlalchemy.url', url())\n"}, ["STORE"]),
    "binds": ({"a.py": "class C:\n    SQLALCHEMY_BINDS = {'old': os.environ['STORE']}\n"}, ["STORE"]),
    "a field of an instance that a classmethod makes, through a parameter": (
        {
            "shop/places.py": """
                import dataclasses

                @dataclasses.dataclass
                class Places:
                    store: str
                    cache: str

                    @classmethod
                    def load(cls, environ=os.environ):
                        return cls(store=environ["STORE"], cache=environ["CACHE"])

                places = Places.load()
            """,
            "shop/db.py": "def connect(address):\n    return create_engine(address)\n",
            "shop/app.py": "from shop import db\nfrom shop.places import places\ndb.connect(places.store)\nimport sqlite3\nsqlite3.connect(places.cache)\n",
        },
        ["STORE"],
    ),
    "a field by its place": (
        {"a.py": "class P(NamedTuple):\n    cache: str\n    store: str = ''\np = P(os.environ['CACHE'], os.environ['STORE'])\nengine = create_engine(p.store)\n"},
        ["STORE"],
    ),
    "an argument of a constructor": (
        {"a.py": "class P:\n    def __init__(self, cache, *, store):\n        self.at, self.cache = store, cache\n        self.place = store\n",
         "b.py": "from a import P\np = P(os.environ['CACHE'], store=os.environ['STORE'])\nengine = create_engine(p.place)\n"},
        ["STORE"],
    ),
    "a field's factory": (
        {"a.py": "@dataclass\nclass P:\n    store: str = field(default_factory=lambda: os.environ['STORE'])\nengine = create_engine(P().store)\n"},
        ["STORE"],
    ),
    "nothing that is followed, but its name says it": ({"a.py": "use(os.environ['STORE_DSN'], os.environ['CACHE_URL'])\n"}, ["STORE_DSN"]),
    "a name that says it, of another that is followed": (
        {"a.py": "use(os.environ['LEDGER_DSN'])\nengine = create_engine(os.environ['STORE'])\n"}, ["STORE"]
    ),
    "a name that says it, and what claims it": (
        {"a.py": "errors = os.environ['ERRORS_DSN']\nsentry_sdk.init(dsn=errors)\nuse(os.environ['SENTRY_DSN'])\nRedis.from_url(os.environ['QUEUE_DSN'])\n"}, []
    ),
    "only a part of it": ({"a.py": "engine = create_engine(f\"postgresql://{os.environ['STORE']}/x\")\n"}, []),
    "nothing that is for a database": ({"a.py": "CACHE_URL = os.environ['STORE']\nurl = os.environ['OTHER']\n"}, []),
    "names that stand for each other": ({"a.py": "a = b\nb = a\nengine = create_engine(a)\nc = os.environ['STORE']\n"}, []),
}  # fmt: skip


@pytest.mark.parametrize("what", HANDED_OVER)
def test_the_variable_of_the_database_is_known_by_where_it_goes(what, tmp_path):
    files, names = HANDED_OVER[what]
    project = Project(written(tmp_path, {name: f"import os\n{dedent(text)}" for name, text in files.items()}))
    variables = variables_of(project, project.python)
    assert len(variables) >= 1
    assert [one.name for one in database_of(project, project.python, ".", variables).variables] == names


def test_a_name_that_many_classes_have_leads_to_no_database(tmp_path):
    """At real size every ``value`` would lead to every other one."""
    kinds = "".join(
        f"class Kind{n}:\n    def get(self, value):\n        self.value = value\n        return self.value\n\n"
        for n in range(12)
    )
    sources = {
        "kinds.py": kinds,
        "settings.py": "import os\nfrom kinds import Kind3\nregion = Kind3().get(os.environ['REGION'])\nkey = os.environ['STORE_KEY']\nanything.get(key)\n",
        "db.py": "from sqlalchemy import create_engine\nimport settings\ndef connect(kind):\n    return create_engine(kind.value)\n",
    }
    root = written(tmp_path, sources)
    assert [one.name for one in variables_of(Project(root), sources) if one.used] == []


# A console script of two commands, one of which has a port.
STOCK = {
    "pyproject.toml": '[project]\nname = "stock"\n[project.scripts]\nstock = "stock.cli:main"\n',
    "stock/__init__.py": "",
    "stock/cli.py": """
        import argparse
        from waitress import serve as listen

        def main():
            commands = argparse.ArgumentParser("stock").add_subparsers(dest="what")
            serve = commands.add_parser("serve")
            serve.add_argument("--port", type=int)
            worker = commands.add_parser("worker")
            listen(None, port=1)
    """,
    "entry.sh": '#!/bin/sh\nset -e\npython -m stock.wait\nif [ -n "$1" ]; then\n  exec stock "$@"\nfi\n',
}
WAIT = "command: python -m stock.wait"
# What stands in the Dockerfile, and the steps that it is.
IMAGES = {
    "CMD stock worker": ["command: stock worker"],
    'CMD ["stock", "worker", "--once"]': ["command: stock worker --once"],
    "CMD stock": ["command: stock"],
    "CMD stock serve": ["serve: stock serve --port {port}"],
    'ENTRYPOINT ["stock"]\nCMD ["worker"]': ["command: stock worker"],
    'ENTRYPOINT ["/srv/entry.sh"]\nCMD ["serve"]': [WAIT, "serve: stock serve --port {port}"],
    'ENTRYPOINT ["/srv/entry.sh"]\nCMD ["worker"]': [WAIT, "command: stock worker"],
    'ENTRYPOINT ["/srv/entry.sh"]\nCMD serve --port 80': [WAIT, "serve: stock serve --port {port}"],
    'ENTRYPOINT ["/srv/entry.sh", "serve"]': [WAIT, "serve: stock serve --port {port}"],
    "CMD /srv/entry.sh worker": [WAIT, "command: stock worker"],
    'ENTRYPOINT ["/srv/entry.sh"]': [WAIT, "command: stock"],
}


def first_start(project: Project, folder: Path) -> list[str]:
    """The steps of the likeliest start, in an environment that has the program ``stock``."""
    place = made(folder.parent / f"{folder.name}-env")
    (place / "bin" / "stock").write_text("#!/bin/sh\n")
    (place / "bin" / "stock").chmod(0o755)
    python = next(one for one in interpreters_of(project, ".", {"VIRTUAL_ENV": str(place), "HOME": str(folder)}))
    start = next(iter(starts_of(project, ".", Programs(project, ".", ["."], [], python))))
    return [f"{kind}: {text}" for kind, text in start.steps]


@pytest.mark.parametrize("image", IMAGES)
def test_a_command_of_the_applications_own_is_taken_as_an_image_has_it(image, tmp_path):
    project = Project(
        written(tmp_path, {**STOCK, "Dockerfile": f"FROM python:3.12\nWORKDIR /srv\nCOPY . .\n{image}\n"})
    )
    assert first_start(project, tmp_path) == IMAGES[image]


# What stands in the entry script, what it is called with, and the steps that it is.
SET_ANEW = {
    "always": ('set -- stock "$@"\nexec "$@"', '["worker"]', ["command: stock worker"]),
    "always, in shell form": ('set -- stock "$@"\nexec "$@"', "serve --port 80", ["serve: stock serve --port {port}"]),
    "to a command of its own": ("set -- stock serve\nexec $@", '["worker"]', ["serve: stock serve --port {port}"]),
    "where the first is an option": ('if [ "${1#-}" != "$1" ]; then\n  set -- stock "$@"\nfi\nexec "$@"', '["--once"]', ["command: stock --once"]),
    "where the first is an option, and it is none": (
        'if [ "${1#-}" != "$1" ]; then\n  set -- stock "$@"\nfi\nexec "$@"', '["stock", "worker"]', ["command: stock worker"]
    ),
    "where there is none": ('[ $# -eq 0 ] && set -- serve\nset -- stock "$@"\nexec "$@"', "[]", ["serve: stock serve --port {port}"]),
    "by a word": ('if [ "$1" = web ]; then\n  shift\nelse\n  set -- stock "$@"\nfi\nexec "$@"', '["worker"]', ["command: stock worker"]),
    "for another reason": ('if [ -f /run/x ]; then set -- stock "$@"; fi\nexec "$@"', '["stock", "worker"]', ["command: stock worker"]),
}  # fmt: skip


@pytest.mark.parametrize("when", SET_ANEW)
def test_an_entry_script_that_sets_its_arguments_anew_is_followed(when, tmp_path):
    script, command, steps = SET_ANEW[when]
    docker = f'FROM python:3.12\nWORKDIR /srv\nCOPY . .\nENTRYPOINT ["/srv/entry.sh"]\nCMD {command}\n'
    files = {**STOCK, "entry.sh": f"#!/bin/sh\nset -e\n{script}\n", "Dockerfile": docker}
    project = Project(written(tmp_path, files))
    assert first_start(project, tmp_path) == steps


ROUTERS = """
    from fastapi import APIRouter
    router = APIRouter(prefix="/own")

    @router.get("/health")
    def health():
        return {}
"""
# The file that registers the router, and the paths that it then has.
REGISTERED = {
    "from fastapi import FastAPI\nfrom shop.items import router\napp = FastAPI()\napp.include_router(router)\n": ["/own/health"],
    "from fastapi import FastAPI\nfrom shop import items\napp = FastAPI()\napp.include_router(items.router, prefix='/v1')\n": ["/v1/own/health"],
    "from fastapi import APIRouter, FastAPI\nfrom shop import items\nPREFIX = '/v2'\napp = FastAPI()\nouter = APIRouter(prefix='/outer')\n"
    "outer.include_router(items.router)\napp.include_router(outer, prefix=PREFIX)\n": ["/v2/outer/own/health"],
    "from fastapi import FastAPI\nfrom shop import items\napp = FastAPI()\napp.include_router(items.router, prefix=where())\n": [],
    "from fastapi import FastAPI\nfrom shop import items\napp = FastAPI()\n": [],
    "from flask import Flask\nfrom shop import items\napp = Flask('x')\napp.register_blueprint(items.router, url_prefix='/v1')\n": ["/v1/health"],
}  # fmt: skip


@pytest.mark.parametrize("main", REGISTERED)
def test_a_routers_paths_have_every_prefix_under_which_it_is_registered(main, tmp_path):
    routers = ROUTERS
    if "flask" in main:
        routers = routers.replace("fastapi import APIRouter", "flask import Blueprint").replace("APIRouter(", "Blueprint('x', ").replace("prefix", "url_prefix")  # fmt: skip
    project = Project(written(tmp_path, {"shop/__init__.py": "", "shop/items.py": routers, "shop/main.py": main}))
    made = objects_of(project, ".")[0]
    found = routes_of(project, ".", made)
    assert list(found) == REGISTERED[main] and set(found.values()) <= {"shop/items.py:5"}


def test_an_application_object_of_a_private_module_is_not_what_is_served(tmp_path):
    made = "from fastapi import FastAPI\n"
    sources = {
        "store/_login.py": made + "api = FastAPI()\n",
        "store/server.py": made + "def create_app():\n    return FastAPI()\n",
    }
    assert [one.name for one in objects_of(Project(written(tmp_path, sources)), ".")] == ["create_app", "api"]


def test_a_secret_of_an_example_file_is_never_taken_over():
    from kit.new.discovery.settings import Variable

    assert "hunter2" not in stand_in(Variable("API_KEY", "a.py:1", True), "hunter2")
    assert stand_in(Variable("AMQP_URL", "a.py:1", True), "amqp://guest:hunter2@mq/") == "amqp://mq/"
    assert stand_in(Variable("REGION", "a.py:1", True), "north") == "north"


def test_only_what_is_postgresqls_own_asks_for_postgresql(tmp_path):
    models = """
        from sqlalchemy import Column
        from sqlalchemy.dialects.postgresql import JSONB
        data = Column({})
    """
    for text, kind in (("JSONB", "postgresql"), ("int", "sqlite")):
        project = Project(written(tmp_path / kind, {"models.py": models.format(text), "requirements.txt": "psycopg\n"}))
        database = database_of(project, project.python, ".", [])
        assert database.kind == kind
        assert ("models.py:3" if kind == "postgresql" else "requirements.txt:1") in database.because


@pytest.mark.parametrize(
    ("text", "error", "table"),
    [
        ("Table 'a.b' is already defined for this MetaData instance.  Specify", "Table 'a.b' is already defined", "a.b"),
        ("Class <class 'app.X'> already has been mapped (Background on this error at: x)", "Class <class 'app.X'> already has been mapped", None),
        ("<object at 0x7f00> failed", None, None),
    ],
)  # fmt: skip
def test_of_an_error_what_stays_the_same_is_expected(text, error, table):
    assert told(text) == (error, table)
