import importlib


def load(name):
    """The driver of the card terminal, a package of its vendor."""
    return importlib.import_module(name)
