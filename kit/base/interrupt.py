"""Interrupting what runs: by Ctrl+C, by a kernel's interrupt, by SIGTERM.

A signal reaches Python's main thread only, and there at any line. So the work is done in a thread of its
own, where no line can be cut in two, and the main thread waits for it, shows its progress and can be
interrupted: it then ends every process of the run, waits until the work has cleaned up, and says so in one
line. A second signal meanwhile changes nothing.
"""

import functools
import os
import queue
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from .errors import Interrupted

# What is under way, in whatever thread, and how it is ended; weak, so that what has ended needs no care.
_live: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()
_endings = 0  # how many ask at this moment that everything ends
_changing = threading.Lock()


def under_way(thing: Any, end: Callable[[Any], None]) -> None:
    """``thing`` has begun, and ``end(thing)`` ends it early.

    :raises Interrupted: everything is being ended; so is ``thing``
    """
    with _changing:
        _live[thing] = end
        ending = _endings
    if ending:
        end(thing)
        raise Interrupted


def check() -> None:
    """Go no further where everything is being ended.

    :raises Interrupted: it is
    """
    if _endings:
        raise Interrupted


@contextmanager
def everything_ends() -> Iterator[None]:
    """End what is under way; within, nothing new begins."""
    global _endings
    with _changing:
        _endings += 1
        now = list(_live.items())
    try:
        for thing, end in now:
            end(thing)
        yield
    finally:
        with _changing:
            _endings -= 1


class Pool(Executor):
    """Somebody's executor, and what was given to it through here."""

    def __init__(self, executor: Executor):
        self.executor = executor
        self.submitted: weakref.WeakSet[Future] = weakref.WeakSet()

    def submit(self, function, /, *args, **kwargs) -> Future:
        check()
        future = self.executor.submit(function, *args, **kwargs)
        self.submitted.add(future)
        return future

    def cancel(self) -> None:
        """Take back what has not begun."""
        for future in list(self.submitted):
            future.cancel()


@contextmanager
def pool_of(executor: Executor | None) -> Iterator[Pool]:
    """The given executor, or threads of our own, one a core; an error within ends what runs in those at once.

    What it is given are functions of modules and values that can be pickled: its workers may be processes, and on
    other machines (:mod:`kit.portable`). Of a given executor, an error takes back what has not begun.
    """
    threads = None if executor is not None else ThreadPoolExecutor(max_workers=cores())
    pool = Pool(executor or threads)
    under_way(pool, Pool.cancel)
    try:
        yield pool
    except BaseException:
        pool.cancel()
        if threads is not None:
            with everything_ends():
                threads.shutdown(wait=True, cancel_futures=True)
        raise
    if threads is not None:
        threads.shutdown()


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def interruptible(work: Callable) -> Callable:
    """A function that takes ``progress`` as one that can be interrupted where it is called in the main thread.

    There it raises :class:`~kit.errors.Interrupted` when nothing of the run is left; elsewhere it is as it was.
    """

    @functools.wraps(work)
    def run(*args, progress: Callable[[str], None] = lambda text: None, **kwargs):
        if threading.current_thread() is not threading.main_thread():
            return work(*args, progress=progress, **kwargs)
        messages: queue.SimpleQueue = queue.SimpleQueue()

        def begin() -> None:
            try:
                messages.put(("done", work(*args, progress=lambda text: messages.put(("says", text)), **kwargs)))
            except BaseException as error:
                messages.put(("failed", error))

        thread = threading.Thread(target=begin, name=work.__name__)
        with once():
            try:
                thread.start()
                while (news := _next(messages))[0] == "says":
                    progress(news[1])
            except BaseException as error:
                with everything_ends():
                    if thread.ident is not None:
                        thread.join()
                if isinstance(error, KeyboardInterrupt):
                    raise Interrupted from None
                raise
        if news[0] == "failed":
            raise news[1]
        return news[1]

    return run


def _next(messages: queue.SimpleQueue) -> tuple[str, Any]:
    # Not one wait without end: a signal that comes just before a thread blocks does not wake it, and its handler
    # would run when the next word came.
    while True:
        with suppress(queue.Empty):
            return messages.get(timeout=0.2)


@contextmanager
def once() -> Iterator[None]:
    """Within, the first signal interrupts as it did before, and later ones do not disturb the clean-up."""
    before: dict[int, Any] = {}
    signalled = False

    def first(number, frame):
        nonlocal signalled
        if not signalled:
            signalled = True
            before[number](number, frame)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if callable(signal.getsignal(number)):  # neither ignored nor the death of the process
            before[number] = signal.signal(number, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
