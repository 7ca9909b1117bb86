"""Parts that a machine has or has not."""
import importlib
import logging

from ticketing import settings

log = logging.getLogger(__name__)


def load():
    loaded = []
    for name in settings.OPTIONAL:
        try:
            loaded.append(importlib.import_module(name))
        except ImportError:
            log.info("no %s on this machine", name)
    return loaded
