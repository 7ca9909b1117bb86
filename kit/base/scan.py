"""The last look at what is about to be published: is anything in it still a secret?

Every door masks what it shows (:mod:`kit.base.redact`); this asks again, with other means: the rules of
detect-secrets 1.5.0, the secrets that are known exactly also where they are broken over lines or hidden in
a picture, and the folders of whoever runs it. A finding names the place and the kind, never the secret.
"""

import base64
import binascii
import html
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from .errors import SecretFound
from .known_secrets import dense, known, mask

# Detectors that know a form. Those of detect-secrets that go by entropy or by a word beside the value take commit
# ids, revisions and column names for secrets; a page is full of them.
_PLUGINS = {
    "AWSKey", "AzureStorageKey", "BasicAuth", "DiscordBotToken", "GitHubToken", "GitLabToken", "JwtToken", "Mailchimp", "Npm",
    "OpenAI", "PrivateKey", "PypiToken", "SendGrid", "Slack", "SquareOAuth", "Stripe", "TelegramBotToken", "TwilioKey",
}  # fmt: skip
_DATA = re.compile(r"data:([\w.+/-]{1,60})(?:;[\w=-]{1,40})*;base64,([A-Za-z0-9+/=\s]+)")
_LONGEST = 5_000  # characters that a rule of detect-secrets is given at once
_LEAST = 8  # letters and digits of a secret that is looked for across line ends and frames
_SHOWN = 5  # findings that a message names
WHOLE = "KIT_NOTEBOOK_IS_SCANNED"  # set for a kernel whose notebook is looked through as a whole, before it is written
REMEDY = (
    "Most often the application prints it or has it in a message or a default: take it out there, or give the value in "
    "app.env under a name that says so (as in API_TOKEN), so that it is masked wherever it shows."
)


def refuse_secrets(
    texts: dict[str, str], *, also: Iterable[str] = (), done: str = "published", remedy: str = REMEDY
) -> None:
    """Raise if a text would show a secret.

    :param texts: file name to what is about to be written under it: ``.ipynb``, ``.json``, ``.html`` or plain text
    :param also: further findings of the caller, as ``file, place: kind``
    :param done: what is not done because of the secret, for the message
    :raises SecretFound: with the places and kinds
    """
    seen = [finding for name, text in texts.items() for finding in secrets_of(name, text)]
    findings = list(dict.fromkeys([*also, *seen]))
    if findings:
        more = f"; and {len(findings) - _SHOWN} more places" if len(findings) > _SHOWN else ""
        shown = "; ".join(findings[:_SHOWN])
        raise SecretFound(f"nothing is {done}, since a secret would show in {shown}{more}. {remedy}")


def secrets_of(name: str, text: str) -> Iterator[str]:
    """Every finding in a text, as ``file, place: kind``."""
    for place, part in _parts(name, text):
        for kind in kinds_in(part):
            yield f"{name}{', ' if place else ''}{place}: {kind}"


def kinds_in(text: str) -> list[str]:
    """The kinds of secrets in a text; pictures in it are decoded first."""
    todo = list(_DATA.finditer(text))
    plain = _DATA.sub(" ", text) if todo else text
    kinds = [*_known_in(plain), *_forms_in(plain), *_folders_in(plain)]
    for picture in todo:
        content = _decoded(picture[2])
        kinds += [f"{kind}, in a picture" for kind in _known_in(content)]
        if "svg" in picture[1] or picture[1].startswith("text/"):
            kinds += [f"{kind}, in a picture" for kind in [*_forms_in(content), *_folders_in(content)]]
    return list(dict.fromkeys(kinds))


def kinds_shown(markup: str, text: str) -> list[str]:
    """The kinds of secrets in what a notebook's cell displays, as HTML and as plain text; none asked where :data:`WHOLE` is set."""
    return [] if WHOLE in os.environ else list(dict.fromkeys([*kinds_in(html.unescape(markup)), *kinds_in(text)]))


def _known_in(text: str) -> Iterator[str]:
    """Secrets of the incident file and the environment, whatever stands between their letters."""
    joined, hidden = dense(text), mask(text, "") != text
    for value, name in known().items():
        wanted = dense(value)
        sure = len(wanted) >= _LEAST and not wanted.isalpha()  # plain words may follow each other by chance
        if sure and wanted in joined or hidden and value.lower() in text.lower():
            hidden = False
            yield f"the value of {name.lstrip('.')}"
    if hidden:
        yield "a known secret in another form"


def _folders_in(text: str) -> Iterator[str]:
    home = os.path.expanduser("~")
    if len(home) > 1 and home in text and re.search(rf"(?<![\w.]){re.escape(home)}/[\w.-]", text):
        yield "a path in the home folder of whoever runs this"


def _forms_in(text: str) -> Iterator[str]:
    text = text.replace(":{database_password}@", ":@")  # the place of a password in an incident file, and none
    return iter(sorted(set().union(*map(_forms_in_line, text.splitlines()))))


@lru_cache(maxsize=10_000)  # three lines in four of a postmortem's files stand there more than once
def _forms_in_line(line: str) -> frozenset[str]:
    parts = [line[max(0, at - 200) : at + _LONGEST] for at in range(0, len(line), _LONGEST)]
    return frozenset(rule.secret_type for rule in _detectors() if any(any(rule.analyze_string(part)) for part in parts))


@cache
def _detectors() -> list:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    classes = get_mapping_from_secret_type_to_class().values()
    named = {class_.__name__.removesuffix("Detector"): class_ for class_ in classes}
    return [named[name]() for name in sorted(_PLUGINS)]


def _decoded(data: str) -> str:
    try:
        return base64.b64decode("".join(data.split()), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return data


def _parts(name: str, text: str) -> Iterator[tuple[str, str]]:
    """``(place, text)`` of what a file holds."""
    suffix = Path(name).suffix
    if suffix in (".ipynb", ".json"):
        yield from _values(json.loads(text), "")
    elif suffix == ".html":
        yield from _sections(text)
    elif kinds_in(text):
        lines = [(f"line {number}", line) for number, line in enumerate(text.splitlines(), 1) if kinds_in(line)]
        yield from lines or [("", text)]  # what is broken over lines is in none of them


def _values(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every text of a JSON value with its key; the texts of a list are one text."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        yield place, "\n".join(map(str, value))
        for key, item in value.items():
            short = re.sub(r"[^\w.<>/ -]", "", str(key))[:40]
            yield from _values(item, f"{place}.{short}".lstrip(".") if not kinds_in(str(key)) else place)
    elif isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            yield place, "\n".join(value)
        else:
            for number, item in enumerate(value):
                yield from _values(item, f"{place}[{number}]")


_HEADING = re.compile(r"<h[12][^>]*>(.*?)</h[12]>", re.DOTALL)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """The page section by section: as its readers see it, and as the file has it."""
    head, *rest = _HEADING.split(text)
    sections = [("head", head), *zip(rest[::2], rest[1::2], strict=True)]
    for heading, body in sections:
        title = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", heading))).removesuffix(" #").strip()
        place = f'under "{title[:60]}"' if heading is not head and title != "head" else "head"
        yield place, html.unescape(f"{heading}\n{body}")
        yield place, html.unescape(re.sub(r"<[^>]*>", "", f"{heading}\n{body}"))
