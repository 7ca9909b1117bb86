"""What a notebook shows of a startup: its steps, the errors that failed them, those that were swallowed.

Nothing is decided here. What is shown works in live JupyterLab, in an untrusted notebook and on the
page: no script, no style sheet, everything of the application escaped.
"""

from collections.abc import Sequence

from ..trace.end_state import looked_at
from ..trace.expected import refusals
from ..trace.trace import Trace
from ..trace.values import Error, StepResult, Swallowed
from ..trace.why import about, near
from ..trace.why import why as events_of
from .markup import Part, Shown, absent, code, fold, items, join, para, preformatted, steady, strong, table, word
from .wording import sentence

_BROKE = "the reason is in the verdict"
_MOST_LINES = 60  # of what a step printed


def steps(trace: Trace) -> Shown:
    """The startup steps: which succeeded, which failed and with what, which never ran; their output folded."""
    rows = []
    for step in trace.steps:
        rows.append((str(step.number), code(step), word(step.ok, "succeeded", "failed", "never ran"), _error(step)))
    wrong = [number for number, step in enumerate(trace.steps) if step.ok is False]
    head = ("step", "what", "how it ended", "error")
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    parts = [table("Startup steps", head, rows, marked=wrong)]
    if trace.broke and not any(step.broke for step in trace.steps):
        parts.insert(0, para(strong("The run itself broke: "), _BROKE, kind="kit-note"))
    if refused := refusals(trace.refused):
        parts.append(para(refused, kind="kit-note"))
    for step in trace.steps:
        if step.output.strip():
            shown = "\n".join(step.output.strip().splitlines()[-_MOST_LINES:])
            parts.append(fold(f"What step {step.number} printed", preformatted(steady(shown))))
    if trace.lost:
        parts.append(fold(f"{len(trace.lost)} things could not be recorded", items(trace.lost[:50])))
    return Shown(parts)


def _error(step: StepResult) -> str:
    """A step's error; why the run itself broke is not repeated, the verdict says it."""
    return f"the run broke here; {_BROKE}" if step.error and step.broke else step.error or ""


def errors(trace: Trace) -> Shown:
    """The lines that led to each error that failed a step, the libraries' folded; the table of the steps has the error."""
    parts = []
    for step in [step for step in trace.steps if step.ok is False]:
        if step.broke:
            parts.append(para(strong(f"Step {step.number} failed: "), _error(step)))
        if step.exception is not None and (frames := _frames(trace, step.exception)):
            heading = para(strong(f"Step {step.number} failed. "), "The path to the line that raised the error:")
            parts += [heading, *frames]
            for cause in step.exception.chain[1:]:
                parts += [para(sentence(cause.as_cause)), *_frames(trace, cause)]
    if parts:
        return Shown(parts)
    failed = any(step.ok is False for step in trace.steps)
    return absent("No traceback of a failed step is known." if failed else "No step failed.")


def _frames(trace: Trace, error: Error) -> list[Part]:
    of_application = [frame for frame in error.frames if frame.application]
    if not error.frames:
        return []
    shown = []
    for frame in of_application:
        text = trace.excerpt(frame, around=0)
        line = join(": ", code(text[0][1].strip())) if text else None
        shown.append(join(code(frame), f" in {frame.function}" if frame.function else None, line))
    every = [join(code(frame), f" in {frame.function}") for frame in error.frames]
    folded = len(error.frames) - len(of_application)
    parts = [items(shown, ordered=True)] if shown else []
    if folded:
        parts.append(fold(f"All {len(error.frames)} frames, {folded} of them of libraries", items(every, ordered=True)))
    return parts


def swallowed(trace: Trace) -> Shown:
    """Exceptions that were raised and caught: the startup went on without them, or with a substitute that failed too."""
    refused = refusals(trace.refused)
    if not trace.swallowed and not trace.caught:
        # An attempt that was refused raised an error, and what catches that where it is asked for is seen by nobody.
        if refused:
            return Shown([para(f"No error was swallowed {looked_at(trace)}. ", refused)])
        return absent(f"Nothing was swallowed {looked_at(trace)}.")
    parts = [_caught(trace, "Swallowed exceptions", trace.swallowed)] if trace.swallowed else []
    if trace.caught:
        nothing = "Nothing else was swallowed" if trace.swallowed else "Nothing was swallowed for good"
        parts += [
            para(f"{nothing}. These were caught, and what the code tried next failed the step:"),
            _caught(trace, "Caught on the path to the error", trace.caught),
        ]
    return Shown([*parts, para(refused)] if refused else parts)


def _caught(trace: Trace, caption: str, errors: Sequence[Swallowed]) -> Part:
    rows = []
    for number, error in enumerate(errors, 1):
        shown = " → ".join(dict.fromkeys(str(frame) for frame in error.chain if frame.application))
        catcher, how = trace.catcher(error), error.how if error.how in ("logged", "printed") else ""
        caught = code(catcher) if catcher else how
        rows.append((str(number), str(error.error), code(error.site) if error.site else "", caught, code(shown)))
    return table(caption, ("no.", "error", "raised at", "caught at", "reached by"), rows)


def why(trace: Trace, name: str = "") -> Shown:
    """Who imported, registered or rebound a module, table, class or name, in order; without a name, what the failure is about."""
    name = name or about(trace) or ""
    events = events_of(trace, name)
    if not events:
        instead = f" Did you mean {', '.join(alike)}?" if (alike := near(trace, name)) else ""
        return absent(f"Nothing in this startup has the name {name}.{instead}" if name else "Nothing was imported.")
    rows = []
    for number, event in enumerate(events, 1):
        chain = " → ".join(map(str, event.chain)) or "the step itself"
        heading = f"{number}. {event.what}" + (f" in {event.step}" if event.step else "")
        rows.append((heading, code(chain), event.note))
    return Shown([table(f"What happened to {name}", ("what", "by", "more"), rows)])
