"""What a guard sees from inside each process of the startup; its text stands below that of ``guard.py``."""

import atexit
import gc
import json
import os
import sys
import weakref
from importlib.machinery import SourceFileLoader

from .guard import ERROR

# ---- below this line is the text of every guard


def watch():
    """Note which line registers which table, what is refused or fails, and, at the end, the state of the mappers."""
    if ERROR:
        watch_bodies()
    try:
        import sqlalchemy
        import sqlalchemy.event
        import sqlalchemy.exc
    except ImportError:
        return
    base = sqlalchemy.exc.SQLAlchemyError
    make = base.__init__

    @sqlalchemy.event.listens_for(sqlalchemy.Table, "after_parent_attach")
    def attached(table, metadata):
        frames = application_frames()
        if frames:
            registered.setdefault(metadata, {})[str(table.key)] = frames[-1]

    def made(self, *args, **more):
        make(self, *args, **more)
        text = str(args[0]) if args else ""
        if "is already defined for this MetaData instance" in text or (ERROR and ERROR in text):
            frames = application_frames()
            if frames:
                first = [lines[key] for lines in registered.values() for key in lines if "'%s'" % key in text]
                note(refused=text.split(". ")[0], first=first[0] if first else None, second=frames[-1], way=frames)

    base.__init__ = made
    atexit.register(at_the_end)


def watch_bodies():
    """Note the incident's error when it leaves the body of a module of the application, for somebody may catch it."""
    execute, noted = SourceFileLoader.exec_module, set()

    def exec_module(self, module):
        try:
            execute(self, module)
        except BaseException as error:
            text = "%s: %s" % (type(error).__name__, error)
            frames = failed_frames(error.__traceback__)
            if ERROR in text and frames and id(error) not in noted:
                noted.add(id(error))  # those of the modules around it are passed next
                note(refused=text, first=None, second=frames[-1], way=application_frames() + frames)
            raise

    SourceFileLoader.exec_module = exec_module


def failed_frames(traceback):
    """``file:line`` of the application's frames that an error passed, outermost first."""
    lines = []
    while traceback is not None:
        file = relative(traceback.tb_frame.f_code.co_filename)
        if file is not None:
            lines.append("%s:%d" % (file, traceback.tb_lineno))
        traceback = traceback.tb_next
    return lines


def run_steps(steps):
    """Run import, call and code steps in this interpreter, as its main program."""
    main_program = sys.modules["__main__"].__dict__
    for kind, text in steps:
        try:
            if kind == "call":
                module, _, name = text.partition(":")
                exec("import %s" % module, main_program)
                result = eval("%s.%s()" % (module, name), main_program)
                if hasattr(result, "cr_code"):  # a coroutine
                    import asyncio

                    asyncio.run(result)
            else:
                exec("import " + text if kind == "import" else text, main_program)
        except SystemExit as left:
            if left.code not in (0, None):
                raise
    at_the_end()
    with open(os.path.join(os.environ["INCIDENT_GUARD_NOTES"], "finished-%d" % os.getpid()), "w"):
        pass  # from now on only threads of the application keep this process


registered = weakref.WeakKeyDictionary()  # MetaData to {table: line}


def at_the_end():
    """Note what is wrong with the state that the process leaves."""
    if "sqlalchemy.orm" not in sys.modules:
        return
    from sqlalchemy.orm import Mapper, configure_mappers

    try:
        configure_mappers()
    except Exception as error:
        note(state="the mappers do not configure: %s" % str(error).splitlines()[0])
    gc.collect()
    classes = {}
    for mapper in [thing for thing in gc.get_objects() if type(thing) is Mapper]:
        table, parent = mapper.local_table, mapper.inherits
        if getattr(table, "metadata", None) is None or (parent is not None and parent.local_table is table):
            continue
        name = mapper.class_.__module__ + "." + mapper.class_.__qualname__
        classes.setdefault((id(table.metadata), str(table.key)), []).append(name)
        columns = set(table.c)
        replaced = sorted(column.key for column in mapper.columns if column.table is table and column not in columns)
        if replaced:
            note(state="%s maps columns that table %s has replaced: %s" % (name, table.key, ", ".join(replaced)))
        elif table.metadata.tables.get(table.key) is not table:
            note(state="%s maps a table %s that is no longer in its MetaData" % (name, table.key))
    for (_, key), names in sorted(classes.items()):
        if len(names) > 1:
            note(state="%d mapped classes for table %s: %s" % (len(names), key, " and ".join(sorted(names))))
    files = {line.rsplit(":", 1)[0] for lines in registered.values() for line in lines.values()}
    modules = {}
    for name, module in list(sys.modules.items()):
        file = relative(getattr(module, "__file__", None) or "")
        if file in files:
            modules.setdefault(file, {})[id(module)] = name
    for file, names in sorted(modules.items()):
        if len(names) > 1:
            as_ = " and as ".join(sorted(names.values()))
            note(state="%s defines tables and was imported as %s" % (file, as_))


def application_frames():
    """``file:line`` of the application's frames, outermost first."""
    lines, frame = [], sys._getframe(1)
    while frame is not None:
        file = relative(frame.f_code.co_filename)
        if file is not None:
            lines.append("%s:%d" % (file, frame.f_lineno))
        frame = frame.f_back
    return lines[::-1]


def relative(file):
    """A file of the application, from its root; None for any other."""
    if not file or file.startswith("<"):
        return None
    root, path = os.environ["INCIDENT_GUARD_APP"], os.path.realpath(file)
    return os.path.relpath(path, root) if path.startswith(root + os.sep) and "site-packages" not in path else None


def note(**what):
    """One line more in this process' notes; at once, since a process may end without warning."""
    with open(os.path.join(os.environ["INCIDENT_GUARD_NOTES"], "%d.jsonl" % os.getpid()), "a") as notes:
        notes.write(json.dumps(what) + "\n")
