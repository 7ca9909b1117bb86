import importlib

from chatbot import plugins
from chatbot.commands import command


@command("reload")
def reload_plugins(session=None, person=None):
    for plugin in plugins.load():
        importlib.reload(plugin)
    return "reloaded"
