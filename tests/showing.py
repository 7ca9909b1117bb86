"""What the tests of the showing half share: applications made on the spot, and one that is traced once."""

import functools
from html.parser import HTMLParser
from pathlib import Path

from kit.incident.load import load
from kit.startup.run import reproduce
from kit.trace.edges import AsWritten, Edges, Place
from kit.trace.trace import Trace
from kit.trace.values import Frame, Import, Metadata, Registration, Site, StepResult

APPLICATIONS = Path(__file__).parent / "applications"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def incident_of(folder: Path, files: dict[str, str], startup: str = "- import: shop.main", more: str = ""):
    """An incident whose application is these files."""
    write(folder / "app", files)
    (folder / "incident.yaml").write_text(
        f"title: made on the spot\napp: {{root: app}}\nstartup:\n  {startup}\n{more}", encoding="utf-8"
    )
    return load(folder / "incident.yaml")


BASE = "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n"


def model(name: str, table: str, base: str = "from shop.db import Base") -> str:
    return f"from sqlalchemy import Column, Integer\n{base}\n\n\nclass {name}(Base):\n    __tablename__ = {table!r}\n    id = Column(Integer, primary_key=True)\n"


@functools.cache
def known():
    """An application with both kinds of way: imports, and a call that ends in a file that Alembic runs."""
    incident = load(APPLICATIONS / "alias-two-module-names-alembic-in-process")
    return incident, reproduce(incident)


def many_modules(number: int) -> Trace:
    """A made trace of an application with ``number`` modules in 37 packages between two definitions of a table."""
    names = ["shop.main", "shop.db", "shop.first", *(f"shop.p{n % 37}.m{n}" for n in range(number)), "shop.second"]
    file = {name: name.replace(".", "/") + ".py" for name in names}
    made = Frame("shop/db.py", 2, "<module>", "shop.db", True)
    metadata = Metadata(0, 0, str(made), made, (), True)
    imports, registrations, places, at = [], [], [], []
    first = AsWritten("shop.first", ..., (), False)
    for key, name in enumerate(names, 1):
        by = Frame("shop/main.py", key, "<module>", "shop.main", True) if key > 1 else None
        began, ended = key * 10**6, (key * 10**6 + 10**5 if by else 10**12)
        chain = (by,) if by else ()
        within = 1 if by else None
        one = Import(
            key, 0, "step 1", None, name, file[name], file[name], True, by, chain, within, began, ended, None, False
        )
        imports.append(one)
        ends = name in ("shop.first", "shop.second")
        if ends or key % 3 == 0:
            frame = Frame(file[name], 5, "<module>", name, True)
            table, outcome = (
                ("orders", "rejected" if name == "shop.second" else "registered") if ends else (f"t{key}", "registered")
            )
            site = Site(file[name], 5, name, "Model")
            values = (table, 0, "step 1", None, metadata, outcome, site, frame, file[name], (*chain, frame), key)
            registrations.append(Registration(*values, "Model", name, True, 3, began + 10))
        if name.startswith("shop.p"):
            places.append(Place(0, name, file[name], "<module>"))
            at.append(began + 5)
    step = StepResult(1, "import", "shop.main", True, None, 1.0)
    empty = ((),) * 6
    edges = Edges(places, [first], (range(len(places)), [0] * len(places), [1] * len(places), at))
    values = ((step,), tuple(imports), edges, (metadata,), tuple(registrations), *empty)
    return Trace(*values, broke=None, lost=(), provenance={})


class Outline(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


ACTIVE = {
    "script",
    "iframe",
    "object",
    "embed",
    "form",
    "input",
    "button",
    "base",
    "link",
    "foreignobject",
    "image",
    "use",
    "animate",
    "set",
    "math",
    "video",
    "audio",
}


def active(html: str) -> list[str]:
    """Whatever in a piece of HTML could act or load something."""
    found = []
    for tag, attrs in Outline(html).tags:
        if tag in ACTIVE:
            found.append(f"<{tag}>")
        for name, value in attrs.items():
            value = (value or "").strip().lower()
            if name.startswith("on") or (name == "style" and "url" in value):
                found.append(f"{tag} {name}")
            if name in (
                "href",
                "src",
                "srcset",
                "action",
                "data",
                "xlink:href",
                "background",
                "poster",
            ) and not value.startswith(("#", "data:image/")):
                found.append(f"{tag} {name}={value[:60]}")
    return found
