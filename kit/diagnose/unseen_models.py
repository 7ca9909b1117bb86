"""Models that the sources define and that no step, or not ``env.py``, imports."""

from dataclasses import dataclass

from ..incident.model import Incident
from ..incident.source import Named, module_name
from .case import Looked


@dataclass(frozen=True)
class Unseen:
    """A table that the sources name and that a startup or ``env.py`` did not see.

    :ivar by: startup, env.py, or both
    :ivar remedy: the import that would bring it in
    :ivar consequence: what autogenerate would do because of it, or None
    """

    named: Named
    by: str
    remedy: str
    consequence: str | None


def unseen_models(incident: Incident, looked: Looked) -> tuple[Unseen, ...]:
    """Tables that the sources name and that no step imported, or that ``env.py`` does not see."""
    registered = {
        registration.table.split(".")[-1] for registration in looked.trace.registrations if registration.application
    }
    seen = looked.migrations
    asked = seen is not None and not seen.problem and seen.models is not None
    handed = {key.split(".")[-1] for key in seen.models} if asked else set()
    executed = {import_.file for import_ in looked.trace.imports if import_.ended is not None and import_.error is None}
    models = []
    for named in looked.named:
        if named.file in executed and named.table not in registered:
            continue  # its class makes no table of its own, as one of single-table inheritance, or a condition decides
        lacking = [
            who
            for who, there in (("startup", registered), ("env.py", handed if asked else None))
            if there is not None and named.table not in there
        ]
        if lacking:
            drops = (
                next((d for d in seen.differences if f"table {named.table}," in d and "drop" in d), None)
                if asked
                else None
            )
            remedy = f"import {module_name(named.file, incident.app.path)}"
            failed = next((i for i in looked.trace.imports if i.file == named.file and i.error is not None), None)
            if failed is not None:
                remedy = f"{failed.module} was imported and failed before it: mend that first"
            models.append(Unseen(named, " and ".join(lacking), remedy, drops))
    return tuple(models)
