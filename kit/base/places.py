"""Where the kit's own files lie: in a checkout, or installed."""

from pathlib import Path

_KIT = Path(__file__).resolve().parents[1]


def project() -> Path | None:
    """The checkout that the kit runs from, the folder with its Makefile; None where it is installed."""
    return _KIT.parent if (_KIT.parent / "Makefile").is_file() and (_KIT.parent / "notebooks").is_dir() else None


def notebooks() -> Path:
    """The folder of the kit's notebooks, with the bundled incident below it."""
    installed = _KIT / "notebooks"
    return installed if installed.is_dir() else _KIT.parent / "notebooks"
