"""Mapped classes, and what ``configure_mappers()`` says of them."""

import os
import sys
from time import perf_counter_ns as _now

from .bodies import _WATCHED
from .frames import _error
from .recorder import _emit, _quietly, _quote, _text, _write
from .tables import _class_managers, _number_of

# ---- below this line is the text of the probe


def _watch_mappers(namespace):
    """``_flag_new_mapper`` is the last thing that the construction of a mapper does."""
    registry = namespace["registry"]
    plain = registry._flag_new_mapper

    @_quietly
    def mapped(mapper):
        table, class_ = mapper.local_table, mapper.class_
        if getattr(table, "metadata", None) is not None and isinstance(getattr(table, "key", None), str):
            key, module, name = map(_quote, (_text(table.key), _text(class_.__module__), _text(class_.__qualname__)))
            number = _number_of(table.metadata)
            _write(f'{{"k":"mapped","t":{_now()},"i":{number},"table":{key},"mod":{module},"cls":{name}}}\n')

    def _flag_new_mapper(self, mapper):
        mapped(mapper)
        return plain(self, mapper)

    registry._flag_new_mapper = _flag_new_mapper


def _judge(in_copy):
    """Configure the mappers of this process, and write down what came out.

    ``configure_mappers()`` changes what it looks at, and stays failed once it failed: so in a forked copy,
    unless this process has nothing more to do.
    """
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is None:
        return
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork() if in_copy and hasattr(os, "fork") else 0
        if pid:
            _wait(pid, 30)
            return
        try:
            import gc

            gc.collect()  # a class that nothing holds any more is no second one, whenever its turn would have come
            try:
                orm.configure_mappers()
                error = None
            except Exception as problem:
                error = _error(problem)
            mappers = _mappers()  # afterwards: some classes are mapped only then
            _emit("judged", error=error, mappers=mappers)
        except BaseException as problem:
            _emit("judged", error=_error(problem), mappers=None)
        finally:
            if in_copy and hasattr(os, "fork"):
                os._exit(0)


def _wait(pid, seconds):
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    _emit("lost", why="judging the mappers took more than %d seconds" % seconds)


def _mappers():
    """Every mapped class: its table, on which metadata, and whether that metadata still holds it."""
    entries = []
    for manager in _class_managers():
        class_ = manager.class_
        entry = {"cls": _text(class_.__qualname__), "mod": _text(class_.__module__), "ok": bool(manager.is_mapped)}
        if manager.is_mapped:
            mapper = manager.mapper
            table = mapper.local_table
            inherits = mapper.inherits is not None and mapper.inherits.local_table is table
            metadata = getattr(table, "metadata", None)
            key = getattr(table, "key", None)
            held = metadata is not None and metadata.tables.get(key) is table
            columns = getattr(table, "c", ())
            orphans = [c.key for c in mapper.columns if getattr(c, "table", None) is table and c not in set(columns)]
            entry.update(
                table=None if key is None else _text(key),
                i=None if metadata is None else _number_of(metadata),
                id=id(table),
                inherits=inherits,
                held=held,
                columns=sorted(_text(c.name) for c in columns),
                orphans=sorted(map(_text, orphans)),
                bind=_text(getattr(class_, "__bind_key__", None)) if getattr(class_, "__bind_key__", None) else None,
            )
        entries.append(entry)
    entries.sort(key=lambda e: (e.get("table") or "", e["mod"], e["cls"]))
    return entries


_WATCHED["sqlalchemy.orm.decl_api"] = _watch_mappers
