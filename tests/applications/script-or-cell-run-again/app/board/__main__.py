import argparse
import os

from board.runner import Runner

parser = argparse.ArgumentParser(prog="board")
parser.add_argument("page")
parser.add_argument("--click", action="append", default=[])
options = parser.parse_args()

runner = Runner(os.path.abspath(options.page))
print("\n".join(runner.show().lines))
for name in options.click:
    print("\n".join(runner.show(name).lines))
