import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite://")

AUTHKIT = {
    "user_model": "authkit.models.User",
    "token_hours": 12,
}
