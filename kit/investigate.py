"""Everything that a postmortem runs, side by side: each fix against each check, the diagnosis, the search over commits."""

from concurrent.futures import Executor, ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple

from .base.interrupt import interruptible, pool_of
from .base.progress import Hears, silent
from .diagnose.diagnosis import Diagnosis, diagnose
from .history.search import History, search_if_any
from .incident.model import Incident
from .startup.portable import named_executor
from .verify.propose import Proposals, propose
from .verify.verification import Verification, verify


class Investigation(NamedTuple):
    """What was run of an incident.

    :ivar history: None for an application without one, and where nothing is expected and nothing goes wrong
    :ivar proposals: fixes that the kit wrote and tried; None where one of the incident file's is verified, or none is needed
    """

    verification: Verification
    diagnosis: Diagnosis
    history: History | None
    proposals: Proposals | None


@interruptible
def investigate(incident: Incident, *, executor: Executor | None = None, progress: Hears = silent) -> Investigation:
    """Verify, diagnose and search in one pool, so that no core waits for the end of one of them; then propose, where no fix cures.

    :param executor: where the startups run; by default what the environment's KIT_EXECUTOR names, else threads, one a core
    :raises KitError: what one of the three raises; the others are ended then
    """
    if executor is None:
        with named_executor() as named:
            return _investigate(incident, named, progress)
    return _investigate(incident, executor, progress)


def _investigate(incident: Incident, executor: Executor | None, progress: Hears) -> Investigation:
    messages: SimpleQueue = SimpleQueue()
    # What goes wrong in old builds is no incident where nothing is expected and nothing goes wrong now.
    parts = (verify, diagnose) if incident.expect.empty else (verify, diagnose, search_if_any)
    # These threads only wait for the pool. They are left last, when the pool has ended what they wait for.
    with ThreadPoolExecutor(max_workers=len(parts)) as threads, pool_of(executor) as pool:
        running = [threads.submit(part, incident, executor=pool, progress=messages.put) for part in parts]
        for future in running:
            future.add_done_callback(messages.put)
        waiting = len(running)
        while waiting:
            message = messages.get()
            if isinstance(message, str):
                progress(message)
            else:
                message.result()
                waiting -= 1
        verification, diagnosis, *searched = (future.result() for future in running)
    history = searched[0] if searched else None
    if not searched and verification.reproduced:
        history = search_if_any(incident, executor=executor, progress=progress)
    proposals = propose_where_none_cures(incident, verification, executor=executor, progress=progress)
    return Investigation(verification, diagnosis, history, proposals)


def propose_where_none_cures(
    incident: Incident,
    verification: Verification | None = None,
    *,
    executor: Executor | None = None,
    progress: Hears = silent,
) -> Proposals | None:
    """Propose fixes where no fix of the incident file is verified; None where one is, or where nothing is to be fixed.

    :param verification: of the incident file's fixes; None if they were not tried: then a file with fixes gets no proposals
    """
    if verification is None:
        wanted = not incident.fixes
    else:
        wanted = verification.reproduced and not verification.verified and not verification.broke
    return propose(incident, executor=executor, progress=progress) if wanted else None
