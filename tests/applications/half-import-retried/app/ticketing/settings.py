import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite://")
TERMINAL = os.environ.get("TERMINAL", "verapay_terminal")
OPTIONAL = ("ticketing.settlement", "ticketing.seasons")
