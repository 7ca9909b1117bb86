USE_I18N = False
INSTALLED_APPS = [
    "museum.tickets",
    "partners.tickets",
]
