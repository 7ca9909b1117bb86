import pathlib

from alembic import command
from alembic.config import Config

from berths import models, tariff  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run():
    config = Config(str(ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(ROOT / "migrations"))
    command.upgrade(config, "head")
    command.current(config)
