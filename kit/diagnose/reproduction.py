"""Is the incident reproduced? One startup, with what ``expect`` needs to be asked of it; every command asks here."""

from ..base.interrupt import interruptible
from ..base.progress import Hears, silent
from ..incident.model import Incident
from ..startup import kept_runs, run
from ..trace.expected import shows_incident
from ..trace.trace import Trace
from .decision import decide_mechanism
from .observation import TIMES, look_until_shown, look_when_asked, may_race, signed, startup_of


@interruptible
def reproduce(incident: Incident, *, progress: Hears = silent) -> Trace:
    """Start the application as it is and give what was seen, with every sign that ``expect`` asks for.

    :func:`kit.trace.expected.shows_incident` says of it whether the incident is there.

    :raises RunBroke: before anything could run
    """
    if incident.expect.error is not None:
        shared = incident._kept_as is not None and kept_runs.keeps()
        for _ in range(TIMES):
            trace = startup_of(incident, progress) if shared else run.reproduce(incident, judge=True, progress=progress)
            if shows_incident(incident, trace):
                return trace
            if not may_race(trace):
                break
            progress("not reproduced, and several processes ran side by side: once more")
        asked = look_when_asked(incident, progress)
        return asked.trace if asked else trace
    looked = look_until_shown(incident, progress)
    if shows_incident(incident, looked.trace) or incident.expect.check is not None:
        return looked.trace
    return signed(incident, looked, decide_mechanism(incident, looked, progress).fault).trace
