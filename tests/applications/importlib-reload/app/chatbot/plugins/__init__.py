import importlib

ENABLED = ("dice", "reminders")


def load():
    return [importlib.import_module(__name__ + "." + name) for name in ENABLED]
