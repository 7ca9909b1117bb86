import importlib
import sys

COMMANDS = {}


def command(function):
    COMMANDS[function.__name__.replace("_", " ")] = function
    return function


@command
def rules_again():
    for name in [name for name in sys.modules if name.startswith("irrigation.rules")]:
        del sys.modules[name]
    return importlib.import_module("irrigation.rules")


@command
def help():
    return sorted(COMMANDS)


def run(line):
    return COMMANDS[line]()
