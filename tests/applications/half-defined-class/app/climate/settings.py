import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite://")
NATURAL_KEY = os.environ.get("NATURAL_KEY", "yes") == "yes"
