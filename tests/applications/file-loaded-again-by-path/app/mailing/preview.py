from mailing import subscribers  # noqa: F401
from mailing.tasks.digest import render


def show(items):
    return render("This week in the museum", items)
