"""Secrets that are known exactly: values of the incident file and the environment whose names say that they are secret.

What is known is masked wherever it shows and however it is written: escaped, quoted for a URL, as base64
or hexadecimal digits. A process learns them once (:func:`remember`), so that every door of it can ask.
"""

import base64
import html
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

SCRATCH_PASSWORD = "kit_scratch_"  # begins the password of every scratch database: wherever one shows, it is known
_SHORTEST = 6  # a shorter value would mask half of every text; beside its name it is masked all the same
_LONGEST = 20_000
_LONG = 12  # from here on a value is masked also inside a longer word
_SECRET = re.compile("PASS|PWD|AUTHORIZATION|PASSPHRASE|PASSCODE|CREDENTIALS?|KEY|COOKIE|SALT|PEPPER")
_ENDINGS = ("PASSWORD", "PASSWD", "SECRET", "SECRETS", "TOKEN", "TOKENS", "APIKEY", "PRIVATEKEY", "SECRETKEY")
# Names that only speak of a secret: where it lies, how long it holds, which kind it is.
_ABOUT = re.compile(
    r"FILE|PATH|DIR|FOLDER|URL|URI|HOST|ENDPOINT|SOCK|ALGORITHM|ALG|TYPE|NAME|HEADER|PREFIX|TTL|LENGTH|EXPIRE[SD]?|EXPIRY"
    r"|EXPIRATION|MINUTES|SECONDS|HOURS|DAYS|BACKEND|HASHER|ISSUER|AUDIENCE|SCHEME|REGION|ROUNDS|ENABLED|REQUIRED|MIN|MAX"
    r"|SIZE|COUNT|LIMIT|VERSION|POLICY"
)
_NO_SECRET = re.compile(r"(PUBLIC|PRIMARY|FOREIGN|SORT|PARTITION|OLD)_?(KEY|PWD)|PWD")
# What stands there in every tutorial tells nobody anything, and is a word of many texts.
_COMMON = re.compile(
    r"password|passwd|secret|change.?me|postgres|postgresql|sqlite|default|develop|development|production|testing|localhost"
    r"|disabled|enabled|required|optional|example|dummy|placeholder|string|integer|public|private|insecure|nothing|unused"
    r"|username|[\d.:\-]{1,9}|[*.x]+|<.*>|\$.*"
)
_IN_URL = re.compile(r"://([^\s:/@'\"]{0,200}):(?!\1@)([^\s'\"]{1,400})@")  # shop:shop tells no more than a tutorial's
_IN_PAIR = re.compile(r"(?i)(?:password|passwd|pwd|secret|token|api_?key)\s?=\s?['\"]?([^\s'\"&;,]{1,400})")

_BETWEEN = re.compile(r"(?:\x1b\[[0-9;?]{0,20}[A-Za-z]|[\W_])+")

_known: dict[str, str] = {}  # value to what it is called
_written: dict[str, bool] = {}  # every form of every value, in lower case: may it be part of a longer word?
_learning = threading.Lock()


def says_secret(name: str) -> bool:
    """Does a variable's, column's or key's name say that its value is secret?"""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
    if _NO_SECRET.fullmatch(words):
        return False
    parts = [part for part in re.split(r"[^A-Z0-9]+", words) if part]
    if not parts or _ABOUT.fullmatch(parts[-1]):
        return False
    return parts[-1] == "AUTH" or any(_SECRET.fullmatch(part) or part.endswith(_ENDINGS) for part in parts)


def secrets_in(name: str, value: str) -> Iterator[str]:
    """The secret parts of a named value: all of it if the name says so, and the passwords of URLs and pairs in it."""
    for match in [*_IN_URL.finditer(value), *_IN_PAIR.finditer(value)]:
        yield match[match.lastindex]
        yield unquote(match[match.lastindex])
    if says_secret(name) and not (value.startswith(("/", "~/", "./")) or "://" in value):
        yield re.sub(r"^(Bearer|Basic|Token|Digest) +", "", value)
        yield from (line for line in value.splitlines() if len(line) >= _LONG)


def remember(name: str, value: str) -> None:
    """Mask the secret parts of ``value`` from now on; a finding names ``name``, never the value."""
    secrets = {secret.strip() for secret in secrets_in(name.rpartition(".")[2], value)}
    new = {secret: name for secret in secrets if _tells(secret) and secret not in _known}
    with _learning:
        for secret in new:
            _written.update((form.lower(), len(secret) >= _LONG) for form in _forms(secret) if len(form) >= _SHORTEST)
        _known.update(new)


def remember_all(content: Any, name: str) -> None:
    """Do what :func:`remember` does with every text in a value of YAML or JSON."""
    todo = [(name, content)]
    while todo:
        called, item = todo.pop()
        if isinstance(item, Mapping):
            todo += [(f"{called}.{key}", value) for key, value in item.items()]
        elif isinstance(item, (list, tuple)):
            todo += [(called, value) for value in item]
        elif isinstance(item, str) or type(item) is int and item.bit_length() < 200:
            remember(called, str(item))


def known() -> Mapping[str, str]:
    """Each known secret, with the name of where it comes from."""
    return dict(_known)


def mask(text: str, instead: str) -> str:
    """``text`` without the known secrets."""
    if not _written:
        return text
    lowered = text.lower()  # one look for each is many times faster than one pattern of all
    here = (form for form in list(_written) if form in lowered)
    there = tuple(sorted(here, key=lambda form: (-len(form), form)))
    return _mask_broken(_pattern(there).sub(instead, text) if there else text, instead)


def dense(text: str) -> str:
    """The text's letters and digits only: a value that a frame, a line end or a colour cuts in two is whole again."""
    return _BETWEEN.sub("", text).lower()


def _mask_broken(text: str, instead: str) -> str:
    """Mask secrets that are broken over lines with a border between, as in a traceback drawn in a box."""
    joined = dense(text)
    for value in list(_known):
        wanted = dense(value)
        # Plain words may follow each other by chance.
        if len(wanted) >= _LONG and not wanted.isalpha() and wanted in joined:
            text = _broken(wanted).sub(lambda match: _letters_masked(match[0], instead), text)
    return text


@lru_cache(maxsize=256)
def _broken(letters: str) -> re.Pattern:
    return re.compile(f"{_BETWEEN.pattern[:-1]}{{0,400}}".join(map(re.escape, letters)), re.IGNORECASE)


def _letters_masked(text: str, instead: str) -> str:
    """The text with its letters and digits masked; lines, borders and colours stay."""
    ends = [(0, 0), *(match.span() for match in _BETWEEN.finditer(text)), (len(text), len(text))]
    pairs = zip(ends, ends[1:], strict=False)
    return "".join(text[start:end] + instead * (following[0] > end) for (start, end), following in pairs)


@lru_cache(maxsize=256)
def _pattern(forms: tuple[str, ...]) -> re.Pattern:
    whole = (re.escape(form) if _written[form] else rf"(?<![a-z0-9]){re.escape(form)}(?![a-z0-9])" for form in forms)
    return re.compile("|".join(whole), re.IGNORECASE)


def _tells(value: str) -> bool:
    more = re.sub(r"\{\w*\}", "", value)  # than a placeholder
    return bool(more) and _SHORTEST <= len(value) <= _LONGEST and not _COMMON.fullmatch(value.lower())


def _forms(value: str) -> Iterator[str]:
    """Every form in which a value may be written."""
    raw = value.encode("utf-8", "surrogatepass")
    written = {value, unquote(value), quote(raw, safe=""), quote(raw), quote_plus(raw)}
    written |= {html.escape(value), html.escape(value, quote=False)}
    for _ in range(2):  # escaped, and escaped once more, as a log's JSON line in JSON
        for form in list(written):
            written |= {repr(form)[1:-1], json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1]}
            written.add(repr(form.encode("utf-8", "surrogatepass"))[2:-1])
    yield from written
    if len(raw) >= 8:
        yield raw.hex()
        for before in range(3):  # wherever it stands in what was encoded
            encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
            inner = encoded[-(-before * 8 // 6) : len(encoded) - (1 if (before + len(raw)) % 3 else 0)]
            yield from {inner, inner.translate(str.maketrans("+/", "-_"))}


remember_all({name: value for name, value in os.environ.items() if name not in ("PWD", "OLDPWD")}, "environment")
