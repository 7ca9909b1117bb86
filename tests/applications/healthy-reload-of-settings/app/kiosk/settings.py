import os

LANGUAGE = os.environ.get("KIOSK_LANGUAGE", "en")
IDLE_SECONDS = 90
