"""The probe as the one file that an application's interpreter loads, compiled once for each interpreter."""

import subprocess
from functools import lru_cache
from pathlib import Path

from ..base.janitor import folder as temporary_folder
from ..base.janitor import mark

_PARTS = (  # a part uses what those before it define
    *("recorder", "bytecode", "frames", "imports", "bodies", "starts", "tables", "mappers"),
    *("registries", "logs", "doors", "engines", "steps", "start"),
)
_BELOW = "# ---- below this line is the text of the probe\n"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@lru_cache(maxsize=1)
def probe_text() -> str:
    """The text of the first part, and what stands below the headers of the others."""
    folder = Path(__file__).parent / "child" / "probe"
    first, *others = ((folder / f"{part}.py").read_text("utf-8") for part in _PARTS)
    return first + "".join(text.partition(_BELOW)[2] for text in others)


def put_probe(folder: Path, python: str) -> None:
    """The probe where Python looks for ``sitecustomize``, compiled once for all startups: that is most of its start."""
    (folder / "sitecustomize.py").write_text(probe_text(), "utf-8")
    compiled = _compiled(python)
    if compiled is not None:
        name, content = compiled
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / name).write_bytes(content)


@lru_cache(maxsize=16)
def _compiled(python: str) -> tuple[str, bytes] | None:
    """``(name, content)`` of the bytecode that this interpreter makes of the probe, with nothing of the application.

    None if it makes none: what is wrong with it shows when it is to run the startup.
    """
    with temporary_folder() as folder:
        source = folder / "sitecustomize.py"
        source.write_text(probe_text(), "utf-8")
        # Unchecked: it goes beside copies of the source, each with a time of its own.
        compile_it = (
            "import py_compile, sys\n"
            "py_compile.compile(sys.argv[1], invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
        )
        try:
            command = [python, "-I", "-S", "-c", compile_it, str(source)]
            subprocess.run(command, env={"PATH": SYSTEM_PATH, **mark(folder)}, capture_output=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        bytecode = next((folder / "__pycache__").glob("sitecustomize.*.pyc"), None)
        return None if bytecode is None else (bytecode.name, bytecode.read_bytes())
