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
from .progress import Hears, silent

# What is under way, in whatever thread, and how it is ended; weak, so that what has ended needs no care.
_live: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()
_endings = 0  # how many ask at this moment that everything ends
_changing = threading.Lock()


def under_way(thing: Any, end: Callable[[Any], None]) -> None:
    """Note that ``thing`` has begun; ``end(thing)`` ends it early.

    :raises Interrupted: everything is being ended, and so is ``thing``
    """
    with _changing:
        _live[thing] = end
        ending = _endings
    if ending:
        end(thing)
        raise Interrupted


def check() -> None:
    """Stop here if everything is being ended.

    :raises Interrupted: everything is being ended
    """
    if _endings:
        raise Interrupted


@contextmanager
def everything_ends() -> Iterator[None]:
    """End everything that is under way; inside this context nothing new can begin."""
    global _endings
    with _changing:
        _endings += 1
        now = list(_live.items())
    try:
        for live, end in now:
            end(live)
        yield
    finally:
        with _changing:
            _endings -= 1


class Pool(Executor):
    """An executor with the futures that were submitted through this pool.

    :ivar threads: does it run them in threads of this process? Only those can call back
    """

    def __init__(self, executor: Executor):
        self.executor = executor
        self.threads = isinstance(executor, ThreadPoolExecutor) or isinstance(executor, Pool) and executor.threads
        self.submitted: weakref.WeakSet[Future] = weakref.WeakSet()

    def submit(self, function, /, *args, **kwargs) -> Future:
        check()
        future = self.executor.submit(function, *args, **kwargs)
        self.submitted.add(future)
        return future

    def cancel(self) -> None:
        """Cancel every future that has not begun."""
        for future in list(self.submitted):
            future.cancel()


@contextmanager
def pool_of(executor: Executor | None) -> Iterator[Pool]:
    """The given executor, or threads of the kit's own, one per core; an error inside ends at once what those threads run.

    The submitted functions belong to modules and their values can be pickled: the workers may be processes, also on
    other machines (:mod:`kit.startup.portable`). In a given executor, an error cancels what has not begun.
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
    """Make a function that takes ``progress`` interruptible where it is called in the main thread.

    There it raises :class:`~kit.base.errors.Interrupted` once nothing of the run is left; in other threads it is unchanged.
    """

    @functools.wraps(work)
    def run(*args, progress: Hears = silent, **kwargs):
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
    """Inside this context the first signal interrupts as usual, and later ones do not disturb the clean-up."""
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
