"""Makes the application and serves it."""

import sys

from flask import Flask

app = Flask("seeds")

from seeds import pages  # noqa: E402, F401

if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
