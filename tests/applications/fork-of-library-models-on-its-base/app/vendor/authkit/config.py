import importlib

settings = {"user_model": "authkit.models.User", "token_hours": 1}


def load(dotted):
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


def configure(values):
    from authkit import tokens

    settings.update(values)
    tokens.user_model = load(settings["user_model"])
