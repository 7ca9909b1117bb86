"""Takes secrets and private paths out of text before anybody sees it.

The formats of tokens are those of detect-secrets 1.5.0 (a test asks it about what is left). It only finds,
and needs a second to start; here the rules are one expression each, and every repetition is bounded, so
that a line of a megabyte takes no longer than a megabyte of lines. What is known exactly
(:mod:`kit.base.known_secrets`) is masked before anything is guessed.
"""

import getpass
import os
import re
from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

from .known_secrets import SCRATCH_PASSWORD, mask

_MASK = "***"
_HOME = os.path.expanduser("~")
# Names that many machines share say nothing about anybody.
_SHARED = re.compile(
    r"root|admin|app|user|ubuntu|debian|runner|jovyan|vagrant|docker|build|builder|node|nobody|www-data"
)


def _user_name() -> re.Pattern | None:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in a container
        return None
    known = len(name) < 3 or _SHARED.fullmatch(name.lower())
    return None if known else re.compile(rf"(?<=[/\\(]){re.escape(name)}(?=[/\\)\s:'\"]|$)")


_USER_NAME = _user_name()
_HOMES = re.compile(r"(?<![\w.])/(?:home|Users)/[^/\s'\":<>]{1,64}(?=/)|[A-Za-z]:\\Users\\[^\\\s'\"<>]{1,64}(?=\\)")

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?(?:-----)?"
    r"(?:(?!-----BEGIN)[\s\S]){0,20000}?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
_KEY_CUT = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?[-A-Za-z0-9+/=\\\s\"',:|]{0,20000}")
# user:password@ of a URL. A password may hold @ and, badly written, /; a port before a path is none.
_URL = re.compile(
    r"(?P<head>://[^\s:/@'\"]{0,200}):(?!\d{1,5}[/?#])(?!\*\*\*@)(?!\{database_password\}@)"
    r"(?:[^\s/'\"]{1,400}(?=@)|(?:(?!://)[^\s'\"@]){1,200}(?=@))"
)
_USER = re.compile(r"(?<=://)[^\s:/@'\"*]{16,400}(?=@)")

_WORDS = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|(?<![A-Za-z])pass(?=['\"]?\s?[=:])|secret|token|credential"
    r"|(?:api|access|account|auth|client|encryption|private|secret|service|signing)[_-]?key)"
)
# A pair of name and value: in code, JSON, YAML, ini files, queries and connection strings.
_PAIR = re.compile(
    rf"(?P<name>{_WORDS}(?:[_-]\w{{1,30}})?(?:\\?['\"])?)(?P<between>[ \t]{{0,4}}(?:=>|:=|=|:)[ \t]{{0,4}})"
    r"(?P<value>(?:[bfru]{0,2}(?P<quote>\\?['\"])(?:\\.|(?!(?P=quote))[^\n\\]){1,4000}(?:(?P=quote))?)|[^\s'\"&;,)}\]]{1,4000})",
    re.IGNORECASE,
)
# What stands where a value would, and is a name or a type of it.
_NO_VALUE = re.compile(
    r"(?:None|True|False|null|true|false|str|int|bool|bytes|object|Any|required|optional|\d{1,3})$"
    r"|[A-Za-z_][\w.]{0,200}[\[(]"  # a call or an index
    r"|[A-Za-z_]\w{0,100}\.[A-Za-z_][\w.]{0,200}$"  # an attribute
    r"|[{$%<]"  # a placeholder
    r"|\*\*\*|\(a private key\)"
)
# A column, a setting or an argument whose own default is the secret.
_DEFAULT = re.compile(
    rf"(?P<head>{_WORDS}\w{{0,30}}['\"]?[ \t]{{0,4}}[:=,][^\n]{{0,200}}?\bdefault[ \t]?=[ \t]?(?:[\w.]{{1,40}}\()?(?P<quote>['\"]))"
    r"(?:\\.|(?!(?P=quote))[^\n\\]){1,400}(?=(?P=quote))",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(?P<scheme>Bearer|Basic|Token|Digest)[ \t]{1,4}(?!\*\*\*)[\w.~+/=-]{4,4000}")
_COOKIE = re.compile(
    r"\b(?P<name>(?:set-)?cookie['\"]?:[ \t]{0,4}['\"]?)(?![ \t]{0,4}['\"]?\*\*\*)[^\n'\"]{1,4000}", re.IGNORECASE
)
_TOKENS = re.compile(
    r"\b(?:(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}"  # AWS
    r"|eyJ[\w-]{10,4000}\.[\w-]{10,4000}(?:\.[\w-]{0,4000})?"  # JWT
    r"|gh[pousr]_[A-Za-z0-9_]{36}|github_pat_\w{22,100}|glpat-[\w-]{20,60}"
    r"|xox[a-z]-(?:\d{1,40}-)?[\w-]{10,200}|[rs]k_(?:live|test)_[0-9A-Za-z]{24,100}"  # Slack, Stripe
    r"|SG\.[\w-]{22}\.[\w-]{43}|pypi-AgE\w{1,20}[\w-]{50,500}|npm_[A-Za-z0-9]{36}"  # SendGrid, PyPI, npm
    r"|sk-(?:[\w-]{0,100})[A-Za-z0-9_-]{20,200}|AIza[\w-]{35}|sq0csp-[\w-]{43}"  # OpenAI, Google, Square
    r"|(?:AC|SK)[a-z0-9]{32}|[0-9a-f]{32}-us[0-9]{1,2}|\d{8,10}:AA[\w-]{33})\b"  # Twilio, Mailchimp, Telegram
    rf"|{SCRATCH_PASSWORD}[0-9a-f]{{32}}"
    r"|https://hooks\.slack\.com/services/[\w/]{20,200}"
)

# What a terminal or a browser takes for more than a letter.
_ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")
_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_HEAPED = re.compile(f"({_MARK}{{8}}){_MARK}+")  # no letter of any language carries as many
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MOST = 20_000  # characters of one text


def redact(text: str) -> str:
    """``text`` with secrets masked and home folders as ``~``; lines stay, and redacting twice changes nothing more."""
    text = mask(text, _MASK)
    text = _KEY_CUT.sub(_without_key, _PRIVATE_KEY.sub(_without_key, text))
    text = _URL.sub(rf"\g<head>:{_MASK}", text)
    text = _TOKENS.sub(_MASK, text)
    text = _USER.sub(_MASK, text)
    text = _BEARER.sub(rf"\g<scheme> {_MASK}", text)
    text = _COOKIE.sub(rf"\g<name>{_MASK}", text)
    text = _PAIR.sub(_masked, text)
    text = _DEFAULT.sub(rf"\g<head>{_MASK}", text)
    return _without_homes(text)


def safe(text: object) -> str:
    """The application's text without secrets, terminal codes, control and direction characters and stacked accents; bounded."""
    line = redact(_ODD.sub("�", _ANSI.sub("", str(text)).replace("\r\n", "\n")))
    line = _HEAPED.sub(r"\1�", line)
    return line if len(line) <= _MOST else f"{line[:_MOST]}\n… {len(line) - _MOST} more characters"


def shows_secret(text: str) -> bool:
    """Would a part of ``text`` be masked? A home folder is private, but not secret."""
    return redact(text).count(_MASK) > text.count(_MASK) or _PRIVATE_KEY.search(text) is not None


def public_part(text: str) -> str:
    """The longest part of ``text`` that is not masked: a message can be recognised by it."""
    alike = SequenceMatcher(None, text, redact(text), autojunk=False).get_matching_blocks()
    parts = [part.strip() for at, _, size in alike for part in text[at : at + size].split(_MASK)]
    return max(parts, key=len)


def redacted(value: Any) -> Any:
    """A JSON value in which every text is redacted, keys included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key) if isinstance(key, str) else key: redacted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value]
    return value


def _without_key(key: re.Match) -> str:
    """A mask for a private key over several lines; its line ends stay, so that line numbers below it do not change."""
    return "(a private key)" + "\n" * key[0].count("\n")


def _masked(match: re.Match) -> str:
    value, quote = match["value"], match["quote"]
    before = match["name"] + match["between"]
    if quote:
        opening, rest = value.split(quote, 1)
        inside = rest.removesuffix(quote)
        if not inside or inside == _MASK or inside[0] in "{$%<" or _BEARER_MASKED(inside):
            return match[0]
        return f"{before}{opening}{quote}{_MASK}{quote if rest.endswith(quote) else ''}"
    spaced = match["between"] != match["between"].strip(" \t")
    if _NO_VALUE.match(value) or (spaced and value.lower() in match["name"].lower()):
        return match[0]
    return before + _MASK


_BEARER_MASKED: Callable[[str], object] = re.compile(r"\w+ \*\*\*$").match


def _without_homes(text: str) -> str:
    if len(_HOME) > 1:
        text = re.sub(re.escape(_HOME) + r"(?![\w.-])", "~", text)
    text = _HOMES.sub("~", text)
    return _USER_NAME.sub("(user)", text) if _USER_NAME else text
