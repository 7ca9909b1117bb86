"""The doors of SQLAlchemy's schema: each ``MetaData``, and each ``Table`` that reaches one."""

import _thread
import os
import sys
from time import perf_counter_ns as _now

from .bodies import _WATCHED
from .frames import _walk
from .recorder import (
    _FROZEN,
    _emit,
    _going_on,
    _ident,
    _json,
    _main_thread,
    _quietly,
    _quote,
    _text,
    _thread_name,
    _write,
)

# ---- below this line is the text of the probe


_metadata = {}  # id -> (weak reference, number); the number outlives a reuse of the id
_metadatas = 0
_newest = (int, 0)  # the one that was asked for last: ``id()`` is an audit event, too


def _number_of(metadata):
    global _newest
    known = _newest
    if known[0]() is not metadata:
        known = _metadata.get(id(metadata))
        if known is None or known[0]() is not metadata:
            _see_metadata(metadata)
            known = _metadata[id(metadata)]
        _newest = known
    return known[1]


def _see_metadata(metadata):
    global _metadatas
    from _weakref import ref

    _metadatas = number = _metadatas + 1
    if number == 1:
        _watch_create_all(type(metadata))
    _metadata[id(metadata)] = (ref(metadata), number)
    within, via = _walk(sys._getframe(2))
    try:
        schema = _text(metadata.schema) if getattr(metadata, "schema", None) else None
    except Exception:
        schema = None
    _emit("metadata", i=number, b=within, via=via, th=_thread_name(), schema=schema)
    return number


def _watch_create_all(metadata_class):
    """By SQLAlchemy's own event: a method of ours around ``create_all`` would stand in its tracebacks."""
    while metadata_class.__mro__[1].__name__ != "SchemaItem" and metadata_class.__name__ != "MetaData":
        metadata_class = metadata_class.__mro__[1]

    together = set()  # threads that are within ``create_all``: it says where it is called once, not for each table

    @_quietly
    def created(metadata, connection):
        together.add(_ident())
        within, via = _walk(sys._getframe(1))
        _emit("created", i=_number_of(metadata), url=repr(connection.engine.url), b=within, via=via)

    def before_create(target, connection, **kw):
        created(target, connection)

    def after_create(target, connection, **kw):
        together.discard(_ident())

    @_quietly
    def created_alone(table, connection):
        place = {}
        if _ident() not in together:
            place["b"], place["via"] = _walk(sys._getframe(1))
        _emit("created", i=_number_of(table.metadata), url=repr(connection.engine.url), table=_text(table.key), **place)

    def before_create_alone(target, connection, **kw):
        created_alone(target, connection)

    event = sys.modules["sqlalchemy.event"]
    event.listen(metadata_class, "before_create", before_create)
    event.listen(metadata_class, "after_create", after_create)
    event.listen(sys.modules["sqlalchemy.sql.schema"].Table, "before_create", before_create_alone)


# Where no class is mapped.
_BELOW_MAPPING = ("sqlalchemy.sql.", "sqlalchemy.util.")


def _defining(frame):
    """The class that is being mapped and the frame that defines the table.

    That frame is the first one outward which is neither SQLAlchemy's nor a hook of the class
    being made (a metaclass or ``__init_subclass__`` of the application or of a library), nor the
    ``__new__`` of a kind of ``Table``.

    :returns: ``(class or None, frame or None, is it mapped only later)``
    """
    mapped = None
    later = False  # is the class mapped on purpose only later?
    while frame is not None:
        module = frame.f_globals.get("__name__")
        library = isinstance(module, str) and (module == "sqlalchemy" or module.startswith("sqlalchemy."))
        if not library and not frame.f_code.co_filename.startswith(_FROZEN):
            if not _is_class_hook(frame, mapped):
                return mapped, frame, later
        elif mapped is None and not (library and module.startswith(_BELOW_MAPPING)):
            # Once the class is known its mapping is, too: what maps it later is the ``self`` that is given the class.
            names = frame.f_locals  # each look makes it anew
            later = later or "Deferred" in type(names.get("self")).__name__
            for name in ("cls", "cls_", "class_", "self"):
                value = names.get(name)
                value = value if isinstance(value, type) else getattr(value, "cls", None)
                if isinstance(value, type) and not str(value.__module__).startswith("sqlalchemy."):
                    arguments = () if name == "self" else frame.f_code.co_varnames
                    if name == "self" or "registry" in arguments or "dict_" in arguments:
                        mapped = value
                        break
        frame = frame.f_back
    return mapped, None, later


def _is_class_hook(frame, mapped):
    code = frame.f_code
    if not code.co_argcount:
        return False
    first = frame.f_locals.get(code.co_varnames[0])
    if first is None or not isinstance(first, type):
        return False
    if issubclass(first, sys.modules["sqlalchemy.sql.schema"].Table):
        return code.co_name == "__new__"  # a kind of Table, as ``db.Table``: who calls it defines the table
    return first is mapped or issubclass(first, type) or code.co_name in ("__table_cls__", "__init_subclass__")


def _default(default):
    """A column's default as text; a function by its name."""
    if default is None:
        return None
    value = getattr(default, "arg", default)
    return _text("%s()" % value.__qualname__ if hasattr(value, "__qualname__") else value)[:200]


def _columns(items):
    """Columns as values, foreign keys by name only: resolving one would change the metadata."""
    columns = []
    for item in items:
        if getattr(item, "__visit_name__", None) != "column":
            continue
        try:
            default, server = getattr(item, "default", None), getattr(item, "server_default", None)
            columns.append(
                {
                    "name": _text(item.name),
                    "key": _text(item.key),
                    "type": _text(repr(item.type))[:200],
                    "nullable": bool(item.nullable),
                    "primary_key": bool(item.primary_key),
                    "unique": bool(item.unique),
                    "index": bool(item.index),
                    "default": _default(default),
                    "server_default": _default(server),
                    "foreign_keys": sorted(_text(getattr(k, "_colspec", ""))[:200] for k in item.foreign_keys),
                }
            )
        except Exception as error:
            columns.append(
                {"name": _text(getattr(item, "name", "?")), "type": "(unreadable: %s)" % type(error).__name__}
            )
    return columns


def _items(args):
    for item in args:
        if isinstance(item, (list, tuple)):
            for inner in _items(item):
                yield inner
        else:
            yield item


def _is_mapped(table):
    """Does a mapper use this very Table? None where it cannot be told. Configures nothing."""
    try:
        return any(it.is_mapped and table in getattr(it.mapper, "tables", ()) for it in _class_managers())
    except Exception:
        return None


def _class_managers():
    """SQLAlchemy's manager of every mapped class."""
    module = sys.modules.get("sqlalchemy.orm.mapper")
    registries = getattr(module, "_mapper_registries", None)  # _all_registries() would wait for a lock
    if registries is None:  # before 1.4 there are mappers alone
        return [mapper.class_manager for mapper in list(getattr(module, "_mapper_registry", ()))]
    return [manager for registry in list(registries) for manager in list(registry._managers)]


def _threads_beside(code):
    """Is another thread inside this function now, and when did this thread begin (nanoseconds, or None)?"""
    mine, inside, since = _ident(), False, None
    for ident, frame in sys._current_frames().items():
        while ident != mine and frame is not None and not inside:
            inside = frame.f_code is code
            frame = frame.f_back
    if mine != _main_thread and hasattr(_thread, "get_native_id"):
        try:
            import time

            with open("/proc/self/task/%d/stat" % _thread.get_native_id(), "rb") as stat:
                ticks = int(stat.read().rsplit(b")", 1)[1].split()[19])
            asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
            since = int((ticks / os.sysconf("SC_CLK_TCK") - asleep) * 1e9)
        except (OSError, ValueError, IndexError, AttributeError):
            pass
    return inside, since


@_quietly
def _see_table(frame, key):
    """``frame`` is inside ``Table.__new__``, about to decide about ``key``."""
    names = frame.f_locals
    metadata, kw = names.get("metadata"), names.get("kw") or {}
    args = names.get("other_args", names.get("args", ()))
    existing = metadata.tables.get(key)
    reflecting = bool(kw.get("autoload_with") is not None or kw.get("autoload"))
    if existing is None:
        if names.get("must_exist") or names.get("mustexist"):
            return None
        outcome = "reflected" if reflecting else "registered"
    elif kw.get("extend_existing"):
        if reflecting:
            outcome = "reflected"
        elif args:
            outcome = "extended"
        else:
            return None
    elif not args:
        return None  # a look-up
    else:
        outcome = "kept" if kw.get("keep_existing") else "rejected"
    mapped, site, later = _defining(frame.f_back)
    # From the site outward only: what SQLAlchemy does below it is the same for every table.
    within, via = _walk(site if site is not None else frame.f_back)
    columns = [item for item in _items(args) if getattr(item, "__visit_name__", None) == "column"]
    event = {}
    if _ident() != _main_thread:
        event["th"] = _thread_name()
    if later:
        event["later"] = True
    if site is not None and existing is not None:
        event["inside"], event["since"] = _threads_beside(site.f_code)
    if existing is not None:
        event["existing"] = _columns(existing.columns)
        event["new"] = _columns(columns)
        event["mapped"] = _is_mapped(existing)
    more = "," + _json(event)[1:-1] if event else ""
    if mapped is not None:
        attributes = vars(mapped)
        named = "true" if "__tablename__" in attributes or "__table__" in attributes else "false"
        module = _quote(_text(getattr(mapped, "__module__", None)))
        more = f',"cls":{_quote(_text(getattr(mapped, "__qualname__", mapped)))},"mod":{module},"named":{named}{more}'
    number = _number_of(metadata)
    _write(
        f'{{"k":"table","t":{_now()},"i":{number},"table":{_quote(_text(key))},"outcome":"{outcome}",'
        f'"b":{within},"via":{via},"cols":{len(columns)}{more}}}\n'
    )
    return outcome


def _ask_by_another_name(namespace, name, method):
    """Have one method ask for a global of its module by a name of its own: others ask for it 17 times a table.

    :returns: the new name; None where this is no such method (SQLAlchemy 1)
    """
    function = getattr(method, "__func__", None)
    code = getattr(function, "__code__", None)
    if code is None or function.__globals__ is not namespace or name not in code.co_names:
        return None
    if "metadata" not in code.co_varnames:
        return None
    function.__code__ = code.replace(co_names=tuple(name + "_" if used == name else used for used in code.co_names))
    return name + "_"


def _watch_schema(namespace):
    plain_key = namespace["_get_table_key"]
    metadata_class = namespace["MetaData"]

    def _get_table_key(name, schema):
        key = plain_key(name, schema)
        frame = sys._getframe(1)
        if alone or frame.f_code.co_name in ("_new", "__new__") and "metadata" in frame.f_locals:
            outcome = _see_table(frame, key)
            if outcome == "rejected" and _going_on:
                return key + " (set aside)"  # not taken yet: the second definition takes the first one's place
        return key

    alone = _ask_by_another_name(namespace, "_get_table_key", vars(namespace["Table"]).get("_new"))
    namespace[alone or "_get_table_key"] = _get_table_key

    def method(name, act):
        plain = vars(metadata_class)[name]

        def watched(self, *args, **kw):
            result = plain(self, *args, **kw)
            act(self, *args)
            return result

        watched.__name__, watched.__doc__ = plain.__name__, plain.__doc__
        watched.__qualname__ = getattr(plain, "__qualname__", name)
        watched.__module__ = plain.__module__
        watched.__wrapped__ = plain  # inspect.signature() shows the original's
        watched.__code__ = watched.__code__.replace(
            co_filename=plain.__code__.co_filename, co_name=plain.__code__.co_name
        )
        setattr(metadata_class, name, watched)

    @_quietly
    def gone(metadata, name, schema=None):
        within, via = _walk(sys._getframe(3))
        _emit("gone", i=_number_of(metadata), table=_text(plain_key(name, schema)), b=within, via=via)

    @_quietly
    def cleared(metadata):
        within, via = _walk(sys._getframe(3))
        _emit("cleared", i=_number_of(metadata), b=within, via=via)

    @_quietly
    def made(metadata, *args):
        _number_of(metadata)

    method("__init__", made)
    method("_remove_table", gone)
    method("clear", cleared)
    sqlalchemy = sys.modules.get("sqlalchemy")
    _emit("library", name="sqlalchemy", version=_text(_version_near(sqlalchemy)))


def _version_near(package):
    """The version of a package that is still being imported, from its source line or its metadata folder."""
    version = getattr(package, "__version__", None)
    if version is None and getattr(package, "__file__", None):
        try:
            with open(package.__file__, encoding="utf-8", errors="replace") as source:
                for line in source:
                    if line.startswith("__version__"):
                        return line.split("=", 1)[1].strip().strip("'\"")
        except OSError:
            pass
    return version


_WATCHED["sqlalchemy.sql.schema"] = _watch_schema
