"""Takes secrets and private paths out of text before anybody sees it."""

import os
import re

_URL = re.compile(r"(?P<head>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@'\"]*):(?P<secret>[^\s@/'\"]+)@")
_HOME = os.path.expanduser("~")


def redact(text: str) -> str:
    """``text`` with passwords of URLs masked and the home folder as ``~``."""
    text = _URL.sub(lambda found: f"{found['head']}:***@", text)
    return text.replace(_HOME, "~") if len(_HOME) > 1 else text
