"""Lay out the application: the reports get the models beside them."""
import os

ROOT = os.path.dirname(os.path.abspath(__file__))
LINKS = {"reports/models.py": "../membership/models.py"}

for link, target in LINKS.items():
    path = os.path.join(ROOT, link)
    if not os.path.lexists(path):
        os.symlink(target, path)
