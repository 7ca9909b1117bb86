"""What a chain of frames tells: the application's own part of it, and who executed a module."""

from collections.abc import Sequence

from .values import Frame, Import


def application_frames(chain: Sequence[Frame]) -> tuple[Frame, ...]:
    """The application's own frames of a chain, each line once in a row."""
    frames: list[Frame] = []
    for frame in chain:
        if frame.application and not (frames and (frames[-1].file, frames[-1].line) == (frame.file, frame.line)):
            frames.append(frame)
    return tuple(frames)


def executed_by_alembic(body: Import) -> bool:
    """Was this module executed by Alembic, as it does with ``env.py`` and revisions?"""
    if body.how != "loader":
        return False
    frames = [frame for frame in body.chain if "/importlib/" not in frame.file]
    return bool(frames) and frames[-1].file.startswith("alembic/util/")
