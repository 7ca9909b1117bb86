import logging.config

from relay.delivery import deliver


def start():
    logging.getLogger("an.old.library")
    logging.config.fileConfig("logging.ini", disable_existing_loggers=False)
    logging.getLogger("relay").warning("the relay starts")
    logging.config.fileConfig("logging.ini")  # of these, none says anything any more
    logging.getLogger("relay.later").warning("one message")
    return deliver([{"text": "one"}])
