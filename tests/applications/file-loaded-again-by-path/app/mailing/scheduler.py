import importlib.util
import pathlib

from mailing.db import engine, metadata
from mailing.schedule import TASKS

FOLDER = pathlib.Path(__file__).parent / "tasks"


def load(path):
    spec = importlib.util.spec_from_file_location("task_" + path.stem, str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def collect():
    for path in sorted(FOLDER.glob("*.py")):
        if not path.stem.startswith("_"):
            load(path)
    return TASKS


def start():
    collect()
    metadata.create_all(engine)
    with engine.begin() as connection:
        for _, task in TASKS:
            task(connection)
