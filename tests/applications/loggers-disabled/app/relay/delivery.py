import logging

from relay.models import Message

log = logging.getLogger(__name__)


def deliver(messages):
    delivered = []
    for message in messages:
        try:
            delivered.append(Message(text=message["text"]))
        except KeyError:
            log.exception("a message is left out")
    return delivered
