import argparse
import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite://")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    return parser.parse_args()
