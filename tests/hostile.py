"""An application and a log that try to act on whoever looks at them: one incident, every kind of text."""

import json
from pathlib import Path

import yaml
from histories import History, git

# Each tries to set window.__hit to its own name, or to break the layout around it.
TEXTS = {
    "script": "<script>__hit='script'</script>",
    "image": "<img src=x onerror=\"__hit='image'\">",
    "svg": "<svg onload=\"__hit='svg'\"><animate onbegin=\"__hit='svg'\" attributeName=x dur=1s>",
    "frame": "<iframe srcdoc=\"<script>top.__hit='frame'</script>\"></iframe>",
    "link": "<a href=\"javascript:__hit='link'\" id=hostile-link>press</a>",
    "markdown link": "[press](javascript:__hit='markdown-link) ![x](http://198.51.100.7/markdown.png)",
    "loaded": "<img src=http://198.51.100.7/loaded.png><link rel=stylesheet href=http://198.51.100.7/x.css>",
    "refresh": '<meta http-equiv="refresh" content="0;url=http://198.51.100.7/refresh">',
    "end of script": "</script></style></title></textarea><script>__hit='end'</script>",
    "comment": "<!-- everything after this is gone --!> <!--",
    "end of page": "</code></pre></td></table></details></main></body></html>",
    "style": "<style>body{display:none}</style><p style='position:fixed;inset:0;background:red'>",
    "attribute": '" autofocus onfocus="__hit=\'attribute\'" x="',
    "template": "{{ 7*7 }}{% include '/etc/passwd' %}${7*7}",
    "mathematics": "$\\href{javascript:__hit='math'}{x}$ \\(\\require{html}\\) $$\\frac{1}{0}$$",
    "terminal": "\x1b]0;owned\x07\x1b[31mred\x1b[2J\x1b[H\x9b31m",
    "direction": "\u202egnp.exe\u2066\u2067\u200f",
    "null": "before\x00after\x07\x08",
    "line ends": "one\rtwo\x0bthree\x85four\u2028five",
    "heaped": "Z" + "\u0300\u0489" * 400,
    "broad": "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 40 + "\ufdfd" * 40 + "\U0010ffff",
    "half a letter": "half \ud800 a letter",
    "yaml and shell": "!!python/object/apply:os.system ['touch /tmp/owned'] $(touch /tmp/owned) `id`",
}
STEERING = {chr(number) for number in (*range(9), *range(14, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F))}
STEERING |= {chr(number) for number in (0x200E, 0x200F, *range(0x2066, 0x206A))}
# What must stand there letter for letter.
SHOWN = {name: text for name, text in TEXTS.items() if not set(text) & (STEERING | set("\r\x0b\u2028\ud800\u0489"))}
LONG = "a line without end " * 60_000  # 1.1 MB
TABLE = "<img src=x onerror=__hit='table'>"
MODULE = "<img src=x onerror=__hit='module'>"

_MODELS = """
import json
import pathlib
from sqlalchemy import Column, Integer
from service.db import Base

TEXTS = json.loads(pathlib.Path(__file__).with_name("texts.json").read_text())
KEPT = []
for text in [*TEXTS.values(), {table!r}]:
    name = text.replace("\\0", "").encode("utf-8", "replace").decode()
    KEPT.append(type(name, (Base,), {{"__tablename__": text, "id": Column(Integer, primary_key=True)}}))
"""
_MAIN = """
import importlib
import sys
from service import models

for text in models.TEXTS.values():
    print(text.encode("utf-8", "replace").decode())
for text in [*models.TEXTS.values(), "a line without end " * 60_000]:
    models.now = text
    try:
        importlib.import_module("service.fails")
    except ValueError:
        pass
print("a line without end " * 60_000)
print("a line without end " * 60_000, file=sys.stderr)
"""
_ASK = f"importlib.import_module({'service.' + MODULE!r})\n"
_SECOND = f"""
from sqlalchemy import Column, String
from service.db import Base

class Second(Base):
    __tablename__ = {TABLE!r}
    id = Column(String, primary_key=True)
    note = Column(String, doc="</script><script>__hit='doc'</script>")
"""
_CHECK = "from service import db\nimport json, pathlib\nprint(pathlib.Path('service/texts.json').read_text())\n"


def write_incident(folder: Path) -> Path:
    """Its incident file, with a history of three commits, a log, fixes, checks, hypotheses and people's part."""
    made = History(folder / "repository")
    files = {
        "service/__init__.py": "",
        "service/db.py": "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n",
        "service/texts.json": json.dumps(TEXTS),
        "service/models.py": _MODELS.format(table=TABLE),
        "service/check.py": _CHECK,
        "service/fails.py": "from service import models\nraise ValueError(models.now)\n",
        f"service/{MODULE}.py": _SECOND,
        "service/main.py": _MAIN,
    }
    made.commit(files, f"Begin {TEXTS['script']}")
    bad = made.commit({"service/main.py": _MAIN + _ASK}, f"Load {TEXTS['image']} {TEXTS['direction']}")
    made.commit({"service/main.py": _MAIN + "# fixed\n"}, f"Fix it {TEXTS['end of script']} {TEXTS['markdown link']}")
    line = (_MAIN + _ASK).splitlines().index(_ASK.strip()) + 1
    frames = f"""Traceback (most recent call last):
  File "/srv/app/service/main.py", line {line}, in <module>
    {_ASK.strip()}
  File "/srv/app/service/{MODULE}.py", line 5, in <module>
    class Second(Base):
sqlalchemy.exc.InvalidRequestError: Table '{TABLE}' is already defined for this MetaData instance.  Specify 'extend_existing=True' to redefine options and columns on an existing Table object.
"""
    said = "\n".join([*TEXTS.values(), LONG, frames, *TEXTS.values()])
    (folder / "log.txt").write_bytes(said.encode("utf-8", "surrogatepass"))
    git(made.folder, "checkout", "--quiet", "--detach", bad)
    (made.folder / "service" / "main.py").write_text(_MAIN + "".join(f"# {text!r}\n" for text in TEXTS.values()))
    cure = git(made.folder, "diff") + "\n"
    (made.folder / "service" / "main.py").write_text(_MAIN + _ASK + f"# {TEXTS['script']}\n")
    (made.folder / f"{TEXTS['image']}.txt").write_text("\n".join(SHOWN.values()) + "\n")
    git(made.folder, "add", "--all")
    nothing = git(made.folder, "diff", "--cached") + "\n"
    git(made.folder, "reset", "--quiet", "--hard")
    (folder / "cure.patch").write_text(cure)
    (folder / "nothing.patch").write_text(nothing)
    texts = [text.replace("\ud800", "").replace("\0", "") for text in TEXTS.values()]  # which a file may not hold
    content = {
        "title": f"Table {TABLE} is already defined {texts[0]}",
        "app": {"repository": "repository", "revision": bad},
        "startup": [{"import": "service.main"}],
        "expect": {"error": "is already defined", "table": TABLE},
        "log": "log.txt",
        "hypotheses": [{"claim": text, "kind": "one-definition"} for text in texts],
        "fixes": {
            "<script>__hit='fix'</script>": {"patches": ["cure.patch"], "claim": texts[1]},
            "nothing": {"patches": ["nothing.patch"], "claim": " ".join(texts)},
        },
        "checks": [{"command": "python -m service.check"}],
        "postmortem": {
            "summary": " ".join(texts),
            "impact": texts[1],
            "detection": texts[2],
            "timeline": [{"at": "2026-01-01 10:00", "what": text} for text in texts],
            "actions": [{"what": text, "owner": texts[3], "due": "2026-01-02"} for text in texts[:6]],
            "went_well": texts[:3],
        },
    }
    file = folder / "incident.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=False))
    return file
