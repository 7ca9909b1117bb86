"""The check that an incident is, as a guard asks it when the startup is done; its text stands below that of ``guard.py``."""

import http.client

from .guard import AFTERWARDS, ERROR, SECONDS

CHECK = {}
# ---- below this line is the text of every guard


def check_of(run):
    """What the check says that has to fail for the incident to be there: nothing where it passes."""
    if "command" in CHECK:
        process, output = run.start(CHECK["command"])
        return [] if run.wait(process, output, SECONDS) else ["%s: %s: %s" % (ERROR, CHECK["command"], run.why)]
    asked = "%s %s" % (CHECK["method"], CHECK["path"])
    connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=SECONDS)
    try:
        connection.request(CHECK["method"], CHECK["path"], CHECK["body"], CHECK["headers"])
        answer = connection.getresponse()
        status, body = answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return ["%s: %s: %s" % (ERROR, asked, error)]
    finally:
        connection.close()
    below = str(CHECK["status"])[:5] == "below"
    right = (
        status < int(CHECK["status"][6:9]) and CHECK["status"][-3:] != str(status)
        if below
        else status == CHECK["status"]
    )
    if not right or (CHECK["contains"] or "") not in body:
        return ["%s: %s: %s %s" % (ERROR, asked, status, body[:200])]
    return []


AFTERWARDS.append(check_of)
