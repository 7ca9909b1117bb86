import os
from importlib import import_module

import django

from museum import visits


def start():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "museum.settings")
    django.setup()
    django.setup()
    from partners.tickets import models

    assert import_module("partners.tickets.models") is models
    return visits.Visit, models.Ticket
