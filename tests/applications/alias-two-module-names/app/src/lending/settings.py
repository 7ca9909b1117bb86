import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite://")
LOAN_DAYS = int(os.environ.get("LOAN_DAYS", "28"))
FINE_PER_DAY = 20
