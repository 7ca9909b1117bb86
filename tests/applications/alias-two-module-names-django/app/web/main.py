import os

import django

from web import accounts


def start():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "web.settings")
    django.setup()
    from web import report

    return accounts.Account, report.columns()
