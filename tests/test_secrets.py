"""An application that leaks everything everywhere: none of it is in anything that the kit shows or writes."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT

TOKEN = "Qz7" + "-hunter-4kWp-pears-9"  # of app.env, so known exactly
CODE = "zebra77" + "kiwi31"  # likewise, and good for a name
DISCORD = "MTk4NjIyNDgzNDcx" + "OTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"  # of a form that only the scanner knows
# What only its form gives away.
GUESSED = {
    "a URL's password": ("kX9" + "dbpass1", "postgresql://app:{}@db.example.com/prod is down"),
    "a pair": ("kX9" + "pairpass2", "connect(host='db', password='{}')"),
    "a bearer token": ("kX9" + "bearer3abc", "Authorization: Bearer {}"),
    "a cookie": ("kX9" + "cookie4", "Set-Cookie: session={}; HttpOnly"),
    "a query's key": ("kX9" + "query5", "GET https://x.example.com/v1?api_key={}&a=1"),
    "a JWT": ("eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0.kX9jwt6jwt6", "seen {}"),
    "an AWS key": ("AKIA" + "KX9AWSKEY7AWSKEY", "with {}"),
    "a private key": ("MIIEkX9" + "privatekey8", "-----BEGIN RSA PRIVATE " + "KEY-----\n{}\n-----END RSA PRIVATE " + "KEY-----"),
    "a home folder": ("/home/kx9ada", "opened {}/shop/config.ini"),
}  # fmt: skip
MESSAGES = [text.format(value) for value, text in GUESSED.values()]

MAIN = f'''
"""The service; the token is {TOKEN}."""
import base64, json, os, sys, warnings, urllib.parse
from service import billing, mod_{CODE}

token = os.environ["API_TOKEN"]
messages = {MESSAGES!r}
for message in messages:
    print(message)
    print(repr({{"message": message}}), json.dumps(message), file=sys.stderr)
print("| token = " + token[:9] + " |\\n|   \\x1b[31m" + token[9:] + "\\x1b[0m |")
print(token, repr(token), urllib.parse.quote(token), base64.b64encode(("user:" + token).encode()).decode(), token.encode().hex())
warnings.warn("the token " + token + " is old")
try:
    raise ValueError("caught: " + " ".join(messages) + token)
except ValueError:
    pass
try:
    from service import broken
except RuntimeError:
    pass
from service import legacy
'''


@pytest.fixture
def leaking(write_incident, duplicate):
    def write(**more):
        files = {
            **duplicate,
            "service/main.py": MAIN,
            f"service/mod_{CODE}.py": f"from sqlalchemy import Table, Column, Integer\nfrom service.db import Base\nTable('t_{CODE}', Base.metadata, Column('id', Integer))\n",
            "service/broken.py": f"raise RuntimeError({' '.join(MESSAGES) + TOKEN!r})\n",
            "service/billing.py": f"""
                from sqlalchemy import Column, Integer, String
                from service.db import Base

                class Invoice(Base):
                    __tablename__ = "invoices"
                    id = Column(Integer, primary_key=True)
                    password = Column(String(40), default="kX9columndefault")
                    note = Column(String(90), default={MESSAGES[0]!r}, server_default={TOKEN!r})
            """,
        }
        link = f"from service import billing, mod_{CODE}"
        file = write_incident(
            files,
            title=f"Down with {MESSAGES[0]}",
            app={"env": {"API_TOKEN": TOKEN, "SIGNING_KEY": CODE}},
            startup=[{"import": "service.main"}, {"command": f"python -c 'pass' --password=kX9argument {TOKEN}"}],
            hypotheses=[{"claim": f"the token {TOKEN} is old"}],
            fixes={"new": {"patches": ["new.patch"], "claim": MESSAGES[2]}},
            checks=[{"command": f"python -c 'import os, sys; print(os.environ[\"API_TOKEN\"]); sys.exit(1)' {TOKEN}"}],
            postmortem={"summary": f"It had {MESSAGES[0]} in it", "timeline": [{"at": "now", "what": TOKEN}]},
            **more,
        )
        (file.parent / "new.patch").write_text(
            f"--- a/service/main.py\n+++ b/service/main.py\n@@ -3,3 +3,3 @@\n import base64, json, os, sys, warnings, urllib.parse\n-{link}\n+{link}  # {TOKEN} {MESSAGES[0]}\n \n"
        )
        return file

    return write


MARKS = {
    "a value of app.env": TOKEN,
    "a value of app.env, in a name": CODE,
    "a value of app.env, as base64": base64.b64encode(f"user:{TOKEN}".encode()).decode()[8:-4],
    "a value of app.env, as digits": TOKEN.encode().hex(),
    "a value of app.env, its second half in a box": TOKEN[9:],
    "a column's default": "kX9columndefault",
    "an argument": "kX9argument",
    **{name: value for name, (value, _) in GUESSED.items()},
    "the home folder of whoever runs it": str(Path.home()) + "/",
    "the workspace": "/incident-",
}  # fmt: skip


def decoded(text: str) -> str:
    """A text with what its pictures hold."""
    found = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", text)
    return text + "".join(base64.b64decode(one).decode() for one in found)


def look(tried, where: str, text: str) -> list[str]:
    text = decoded(text).lower()
    leaked = [name for name, mark in MARKS.items() if mark.lower() in text]
    for name in MARKS:
        tried(f"{name}: in {where}", "shown" if name in leaked else "not there", held=name not in leaked)
    return leaked


@pytest.mark.attempt("secrets")
@pytest.mark.parametrize("command", ["reproduce", "diagnose", "verify"])
def test_no_command_shows_a_secret_in_words_or_as_json(command, leaking, kit, tried, tmp_path):
    out = tmp_path / "out.json"
    said = kit(command, leaking(), "-o", out)
    assert said.code in (0, 1), said.err
    assert out.exists() and "invoices" in out.read_text(), "it was seen all the same"
    shown = {"words": said.out, "JSON": out.read_text(), "progress": said.err}
    assert {name: look(tried, f"{command}, {name}", text) for name, text in shown.items()} == dict.fromkeys(shown, [])


@pytest.mark.attempt("secrets")
def test_no_page_notebook_or_result_holds_a_secret(leaking, kit, tried, tmp_path):
    said = kit("postmortem", leaking(), "-o", tmp_path / "p")
    assert said.code == 1 and "no fix is verified" in said.out, said.err
    shown = {"the terminal": said.out + said.err}
    shown |= {f"the {suffix} file": (tmp_path / f"p.{suffix}").read_text() for suffix in ("ipynb", "html", "json")}
    assert "legacy.py" in shown["the html file"]
    assert {name: look(tried, name, text) for name, text in shown.items()} == dict.fromkeys(shown, [])
    assert json.loads(shown["the json file"])["conflicts"][0]["table"] == "invoices"


@pytest.mark.attempt("secrets", "a token of a form that only the scanner knows")
def test_what_redaction_does_not_know_keeps_the_page_from_being_published(
    write_incident, kit, tmp_path, record_property
):
    files = {"service/__init__.py": "", "service/main.py": f"print({DISCORD!r})\nraise RuntimeError('no rates')\n"}
    for suffix in ("ipynb", "html", "json"):
        (tmp_path / f"p.{suffix}").write_text("of an earlier run")
    said = kit("postmortem", write_incident(files), "-o", tmp_path / "p")
    assert said.code == 1 and "nothing is published" in said.err
    assert re.search(r'p\.html, under "[^"]+": Discord Bot Token', said.err), said.err
    assert "ZnCjm1XVW7" not in said.err + said.out
    assert not list(tmp_path.glob("p.*")) and not list(tmp_path.glob(".p.*"))
    record_property("happened", "exit 1, no file is left, the place is named")


@pytest.mark.attempt("secrets", "a password in a step that a guard would repeat")
def test_a_guard_that_would_hold_a_secret_is_not_written(write_incident, duplicate, kit, tmp_path, record_property):
    step = "python -m service.main --password=kX9step-password"
    file, target = write_incident(duplicate, startup=[{"command": step}]), tmp_path / "test_guard.py"
    for more in ([], ["--json"]):
        said = kit("guard", file, "-o", target, *more)
        assert said.code == 1 and "nothing is written, since a secret would show in" in said.err
        assert re.search(r"test_incident_case\.py, line \d+: the value of startup\.command", said.err), said.err
        assert "kX9" not in said.out + said.err and not target.exists()
    record_property("happened", "exit 1, no file is written, the line is named")


@pytest.mark.attempt("secrets", "a secret in what a guard compares with or hands on")
def test_a_guard_knows_an_error_by_what_is_no_secret_of_it(write_incident, duplicate, kit, tmp_path, record_property):
    duplicate["service/main.py"] = (
        'raise RuntimeError("no answer from postgresql://app:kX9dbpass1@db.example.com/prod after a long while of waiting")\n'
    )
    file, target = write_incident(duplicate, app={"env": {"ALERTS": DISCORD}}), tmp_path / "test_guard.py"
    said = kit("guard", file, "-o", target)
    assert said.code == 0, said.err
    source = target.read_text()
    assert "kX9" not in source and DISCORD not in source
    assert "ERROR = '@db.example.com/prod after a long while of waiting'" in source
    assert "FROM_OUTSIDE = ['ALERTS']" in source
    record_property("happened", "the error's longest public part, and a variable's name, are written")


COMPOSE = """
services:
  web:
    build: .
    ports: ["8000:8000"]
    command: uvicorn store.main:app {options}
    environment:
      LOG_LEVEL: info
      QUEUE: amqp://app:kX9queuepass@queue.example.com/
      ALERTS: {alerts}
"""
STORE = """
import os
from fastapi import FastAPI
import sqlalchemy
queue, alerts = os.environ["QUEUE"], os.environ.get("ALERTS", "off")
level = os.environ.get("LOG_LEVEL")
app = FastAPI()
"""


def store_with(folder: Path, options="") -> Path:
    files = {
        "docker-compose.yml": COMPOSE.format(options=options, alerts=DISCORD),
        "store/main.py": STORE,
        "store/__init__.py": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.attempt("secrets", "passwords in a compose file and in a log")
def test_an_incident_file_is_written_without_what_is_secret_in_the_sources_and_the_log(kit, tmp_path, record_property):
    log = tmp_path / "service.log"
    log.write_text(
        'Traceback (most recent call last):\n  File "/srv/store/main.py", line 2, in <module>\n    import sqlalchemy\n'
        "RuntimeError: postgresql://app:kX9logpass@db.example.com/prod cannot be reached from here\n"
    )
    said = kit("new", tmp_path / "x", "--app", store_with(tmp_path / "app"), "--log", log)
    assert said.code == 3, said.err  # nothing of it fails here, so no trial shows the log's error
    text = (tmp_path / "x" / "incident.yaml").read_text()
    for shown in (text, (tmp_path / "x" / "log.txt").read_text(), said.out + said.err):
        assert "kX9" not in shown and DISCORD not in shown
    assert "QUEUE: amqp://queue.example.com/" in text and "LOG_LEVEL: info" in text
    assert "ALERTS: docker-compose.yml:10 sets it to a secret, so it is left out" in text
    assert "error: cannot be reached from here" in text  # a URL is of one machine, and no part of what is expected
    assert "@db.example.com/prod cannot" in (tmp_path / "x" / "log.txt").read_text()
    record_property("happened", "what is secret is left out, and that is said")


@pytest.mark.attempt("secrets", "a password in a deployment's command, and a token in a log")
@pytest.mark.parametrize(
    "options",
    ["--ssl-keyfile-password=kX9option-token --port 80", "--header=api_key:kX9option-token --port 80"],
)
def test_an_incident_file_that_would_hold_a_secret_is_not_written(options, kit, tmp_path, record_property):
    root, log = (
        store_with(tmp_path / "app", options),
        tmp_path / "service.log",
    )
    log.write_text(f"started\nthe token {DISCORD} is old\n")
    said = kit("new", tmp_path / "x", "--app", root, "--log", log)
    assert said.code == 1 and "nothing is written" in said.err, said.err
    assert re.search(r"incident\.yaml, line \d+: the value of startup; log\.txt, line 2: Discord Bot Token", said.err)
    assert "kX9" not in said.out + said.err and DISCORD not in said.out + said.err
    assert not (tmp_path / "x").exists()
    record_property("happened", "exit 1, no folder is made, both lines are named")


@pytest.mark.attempt("secrets", "a token of a form that only the scanner knows, in a notebook that nobody publishes")
def test_a_notebook_that_is_run_by_itself_displays_no_secret(write_incident, duplicate, tmp_path, record_property):
    duplicate["service/main.py"] = f"print({DISCORD!r})\nfrom service import billing, legacy\n"
    papermill, notebook = Path(sys.executable).with_name("papermill"), PROJECT / "notebooks" / "reproduce.ipynb"
    words = [papermill, notebook, tmp_path / "out.ipynb", "-p", "incident", write_incident(duplicate)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    out = (tmp_path / "out.ipynb").read_text()
    assert "ZnCjm1XVW7" not in out
    assert "Not displayed, since a secret would show here (Discord Bot Token)." in out and "legacy.py:5" in out
    record_property("happened", "that view alone is not displayed, and says why")
