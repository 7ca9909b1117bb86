"""Texts made shorter, and lists made sentences."""

import re
from collections.abc import Sequence


def count(number: int, what: str) -> str:
    """A number with its noun: ``1 module``, ``2 modules``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Sequence[str], most: int = 6, between: str = ", ") -> str:
    """Names in one line; of a long list the first, and how many more there are."""
    return between.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def shortly(text: str, most: int = 140) -> str:
    """A text of at most ``most`` characters, cut between words."""
    return text if len(text) <= most else text[:most].rpartition(" ")[0] + " …"


def sentence(text: str) -> str:
    """A text with a capital letter, unless it begins with a name or a path, and with a full stop."""
    first = text.partition(" ")[0].rstrip(",;:")
    capital = text[:1].upper() if re.fullmatch(r"[a-z'’-]+", first) else text[:1]
    return f"{capital}{text[1:]}" + ("" if text.endswith((".", "!", "?", "…")) else ".")


def first_sentence(text: str) -> str:
    """The first sentence of a text, with its full stop."""
    match = re.match(r"(.+?[.!?])(?:\s|$)", " ".join(text.split()))
    return match[1] if match else " ".join(text.split())
