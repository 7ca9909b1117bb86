"""Public applications of different make, from the package index, each with a registration fault put into a copy of it.

From an unknown application to its page: ``new``, then ``postmortem``. Their sources and their environments are kept
between runs beside the other test environments.
"""

import fcntl
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest
from environments import KEPT, environment, interpreters
from test_new import SMALL

from kit.incident.load import load

pytestmark = pytest.mark.slow


class Public(NamedTuple):
    """An application and its fault: a file that defines a table again, and the import that brings it in.

    :ivar packages: what its environment holds
    :ivar fault: the new file, and its text
    :ivar after: a file, and the line of it behind which the import is put
    """

    requirement: str
    packages: tuple[str, ...]
    folder: str
    fault: tuple[str, str]
    after: tuple[str, str]
    imports: str
    table: str
    mechanism: str
    startup: list[str]


APPLICATIONS = {
    "ihatemoney": Public(  # Flask: a factory, Flask-Migrate run by the application itself, a settings file
        "ihatemoney==7.2.1",
        ("ihatemoney==7.2.1",),
        "ihatemoney",
        ("archive.py", "from ihatemoney.models import db\n\n\nclass OldBill(db.Model):\n    __tablename__ = 'bill'\n    id = db.Column(db.Integer, primary_key=True)\n"),
        ("web.py", "from ihatemoney.models import Bill"),
        "from ihatemoney import archive",
        "bill",
        "computed-table-name-collision",  # Flask-SQLAlchemy makes the first one's name of its class
        ['serve: IHATEMONEY_SETTINGS_FILE_PATH="$PWD/incident-settings.py" flask --app ihatemoney.wsgi:application run --port {port}'],
    ),
    "todolist-fastapi": Public(  # FastAPI: a src layout, a console script with a fixed port
        "todolist_fastapi==1.0.5",
        SMALL,
        "src/fastapi_todo_list",
        ("archive.py", "from sqlalchemy import Column, Integer\n\nfrom .database import Base\n\n\nclass Archived(Base):\n    __tablename__ = 'todos'\n    id = Column(Integer, primary_key=True)\n"),
        ("main.py", "from . import schemas"),
        "from . import archive",
        "todos",
        "second-class-same-table-other-file",
        ["serve: uvicorn fastapi_todo_list.main:app --port {port}"],
    ),
    "taguette": Public(  # its own command line, Tornado, SQLAlchemy 1.4, Alembic without an alembic.ini
        "taguette==1.5.2",
        ("taguette==1.5.2", "setuptools==80.9.0"),  # its opentelemetry-api asks for pkg_resources, which later ones lack
        "taguette",
        ("labels.py", "from sqlalchemy import Column, Integer\n\nfrom .database.models import Base\n\n\nclass Label(Base):\n    __tablename__ = 'tags'\n    id = Column(Integer, primary_key=True)\n"),
        ("main.py", "from . import database"),
        "from . import labels",
        "tags",
        "second-class-same-table-other-file",
        ["serve: taguette --port {port} --database {database_url} --no-browser"],
    ),
}  # fmt: skip


def source(requirement: str) -> Path:
    """The folder of an application's source distribution, fetched if it is not there yet."""
    folder = KEPT / f"source-{requirement.replace('==', '-')}"
    KEPT.mkdir(exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = Path(f"{folder}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            done = subprocess.run(
                [*pip, "--no-binary", ":all:", "-d", draft, requirement], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            with tarfile.open(next(draft.glob("*.tar.gz"))) as archive:
                archive.extractall(draft, filter="data")
            draft.rename(folder)
    return next(one for one in folder.iterdir() if one.is_dir())


@pytest.mark.parametrize("name", APPLICATIONS)
def test_from_a_public_application_to_its_page_in_two_commands(name, kit, tmp_path):
    public = APPLICATIONS[name]
    root = tmp_path / name
    shutil.copytree(source(public.requirement), root)
    (root / public.folder / public.fault[0]).write_text(public.fault[1])
    file, line = root / public.folder / public.after[0], public.after[1]
    lines = file.read_text().splitlines()
    at = next(number for number, one in enumerate(lines) if one.startswith(line))
    lines.insert(at, public.imports)
    file.write_text("\n".join(lines) + "\n")
    (root / ".venv").symlink_to(Path(environment(interpreters()[3, 11], *public.packages)).parents[1])

    said = kit("new", tmp_path / "incidents" / "x", "--app", root)
    assert said.code == 0, said.err
    incident = load(tmp_path / "incidents" / "x")
    assert [str(step) for step in incident.startup] == public.startup
    page = kit("postmortem", incident.file, "-o", tmp_path / "page", "--json")
    assert page.code == 1, page.out + page.err  # it reproduces, and there is no fix yet
    report = page.json
    assert report["conflicts"][0]["table"] == public.table
    assert report["conflicts"][0]["second"]["site"]["file"] == f"{public.folder}/{public.fault[0]}"
    assert report["mechanism"] == public.mechanism
    html = (tmp_path / "page.html").read_text()
    assert (
        f"Table &#39;{public.table}&#39; is already defined" in html
        or f"Table '{public.table}' is already defined" in html
    )
