import importlib
import sys

MODULES = ("beehives.models",)


def load():
    for name in MODULES:
        importlib.import_module(name)
        __import__(name)
    return [sys.modules[name] for name in MODULES]
