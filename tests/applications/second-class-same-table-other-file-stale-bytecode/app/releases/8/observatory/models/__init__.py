"""Every module in here is loaded."""
import importlib
import pkgutil

for found in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
    importlib.import_module(__name__ + "." + found.name)
