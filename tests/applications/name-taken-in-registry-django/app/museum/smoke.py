from django.apps import apps

from museum.main import start

start()
models = [apps.get_containing_app_config(name).get_model("Ticket") for name in ("museum.tickets", "partners.tickets")]
assert models[0] is not models[1]
