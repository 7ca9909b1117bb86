"""What a chain of frames tells: whether Alembic executed a module, and who caught an error."""

import builtins
from collections.abc import Mapping, Sequence

from ..incident.source import catcher_at
from .frames import Error, Frame, application_frames
from .values import Import


def executed_by_alembic(body: Import) -> bool:
    """Was this module executed by Alembic, as it does with ``env.py`` and revisions?"""
    if body.how != "loader":
        return False
    frames = [frame for frame in body.chain if "/importlib/" not in frame.file]
    return bool(frames) and frames[-1].file.startswith("alembic/util/")


def catcher(chain: Sequence[Frame], sources: Mapping[str, str], error: Error | None) -> Frame | None:
    """The handler that keeps an error, by the sources: of the application's frames, the innermost with a fitting one.

    :param error: None: only a handler for any error fits
    """
    frames, names = application_frames(chain)[::-1], ["Exception", "BaseException"]
    if frames and error is not None:
        type_ = error.type.rpartition(".")[2]
        names += [type_, *(base.__name__ for base in getattr(getattr(builtins, type_, None), "__mro__", ()))]
        names += ["SQLAlchemyError"] if error.type.startswith("sqlalchemy.") else []
    for frame in frames:
        if (line := catcher_at(sources.get(frame.file, ""), frame.line, names)) is not None:
            return frame._replace(line=line)
    return None
