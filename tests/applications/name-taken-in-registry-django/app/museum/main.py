import os

import django

from museum import visits


def start():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "museum.settings")
    django.setup()
    return visits.Visit
