import importlib.util
import pathlib

from gallery.models.photo import Photo

_path = pathlib.Path(__file__).parent.with_suffix(".py")
_spec = importlib.util.spec_from_file_location("_models_file", str(_path))
_rest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_rest)

Member = _rest.Member
Exhibition = _rest.Exhibition

__all__ = ["Exhibition", "Member", "Photo"]
