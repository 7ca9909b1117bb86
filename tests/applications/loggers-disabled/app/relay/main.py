import logging.config

from relay.delivery import deliver


def start():
    logging.config.fileConfig("logging.ini")
    return deliver([{"text": "one"}, {"txt": "two"}])
