"""What each mechanism means and what to do about it, and the same of errors that no mechanism explains: read from the two files."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

_HERE = Path(__file__).parent


class Meaning(NamedTuple):
    """What happened, and what mostly cures it: a sentence each; ``about``: what of the application such an error is about."""

    happened: str
    advice: str
    about: str = ""


def _rows(name: str):
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first where PyYAML has libyaml: a tenth of the time
    return yaml.load((_HERE / name).read_text("utf-8"), loader)


MEANINGS = {slug: Meaning(row["means"], row["advice"]) for slug, row in _rows("mechanisms.yaml").items()}
_OF_ERRORS = [
    (
        re.compile(row["says"]),
        re.compile(row.get("passed", "")),
        Meaning(row["means"], row["advice"], row.get("about", "")),
    )
    for row in _rows("library_errors.yaml")
]


def meaning_of_error(words: str, files: str = "") -> Meaning | None:
    """What an error with these words, that passed these files, usually means."""
    return next((meaning for says, by, meaning in _OF_ERRORS if says.search(words) and by.search(files)), None)
