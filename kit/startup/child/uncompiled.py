"""Which of these files Python cannot compile now, and could before. Standard library only, Python 3.8 and later.

In the application's interpreter: ``python -I uncompiled.py ROOT BEFORE NAMES``, with the names as JSON in a file; in the
kit, whose interpreter the application may have, it is a function.
"""

import json
import os
import sys
import warnings


def uncompiled(root, before, names):
    """``file:line: error`` of the first file of ``names`` below ``root`` that does not compile and does below ``before``."""
    for name in names:
        fault = _wrong(os.path.join(root, name))
        former = os.path.join(before, name)
        if fault and not (os.path.exists(former) and _wrong(former)):
            return "%s:%d: %s" % (name, fault[1], fault[0])
    return None


def _wrong(path):
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(file.read(), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return "%s: %s" % (type(error).__name__, error.msg), error.lineno or 0
    except Exception:
        return None  # no text of any encoding, or too deep: whether it imports is for the run to show
    return None


if __name__ == "__main__":
    with open(sys.argv[3]) as file:
        print(uncompiled(sys.argv[1], sys.argv[2], json.load(file)) or "")
