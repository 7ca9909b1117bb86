"""One IPython session that executes scripts, as typing %run would."""
import os
import sys

from IPython.core.interactiveshell import InteractiveShell


def main(paths):
    shell = InteractiveShell.instance(history_load_length=0)
    for path in paths:
        full = os.path.abspath(path)
        print("run", path)
        shell.safe_execfile(full, shell.user_ns, raise_exceptions=True)


if __name__ == "__main__":
    main(sys.argv[1:])
