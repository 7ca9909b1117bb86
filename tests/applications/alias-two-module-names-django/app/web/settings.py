USE_I18N = False
INSTALLED_APPS = ["post"]
