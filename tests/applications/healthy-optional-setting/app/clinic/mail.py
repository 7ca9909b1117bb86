import os

SENDER = os.environ["MAIL_SENDER"]
