"""The few forms that views are made of, each as HTML and as plain text at once.

Text of the application comes in as ``str`` and is always escaped; only a :class:`Part` is markup. There
is no style sheet, script or id in it, so that it stays whole in an untrusted notebook too; colours come with
the page's own style sheet, and every colour has its word beside it.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..base.redact import safe
from ..base.scan import REMEDY, kinds_shown
from .wording import count as count

_UNBROKEN = 22  # characters of a word of code that stay in one line
_LABEL = 160  # characters of a column's name
# JupyterLab sets cells flush right, fixes the width of columns and keeps no class's colour: what it needs stands at the
# element, in properties that it keeps in a notebook that is not trusted too. The page takes these out, it has its own style.
# A colour is always a ground with its own text colour, so that it can be read on a light and on a dark theme.
_TABLE = ' style="table-layout:auto;white-space:normal"'
_CELL = ' style="text-align:left;vertical-align:top"'
PRE = ' style="white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere"'
LEFT = ' style="text-align:left;white-space:pre-wrap"'
CAPTION = ' style="text-align:left;font-weight:600"'
# In an output that is narrow, a trusted notebook shows the rows of a table as cards, as the page does on a phone.
_CARDS = """<style>.kit{container-type:inline-size}@container (max-width:50em){
.kit .kit-cards,.kit .kit-cards :is(caption,tbody,tr,th,td){display:block;overflow-wrap:anywhere}
.kit .kit-cards thead{position:absolute;clip-path:inset(50%)}
.kit .kit-cards tr{padding:4px 0;border-bottom:1px solid #8c959f}
.kit .kit-cards :is(th,td){padding:1px 0}.kit .kit-cards td:empty{display:none}
.kit .kit-cards td::before{content:attr(data-label) ": "}
.kit .kit-grid :is(th,td){padding:1px 3px}}
@container (max-width:30em){.kit .kit-claim{display:none}.kit .kit-grid :is(th,td){font-size:.74em;padding:1px}
.kit .kit-grid td *{padding:0 1px!important}}</style>"""
_KINDS = {True: "kit-good", False: "kit-bad", None: "kit-open"}
_BADGE = "color:#ffffff;padding:0 6px;border-radius:4px"
_CHANGED = "display:block;text-decoration:none;color:#1f2328"
_HEAD = "font-size:1.2em;padding-left:.6em;border-left:.3em solid"
_STYLES = {
    "kit-good": f"background-color:#1a7f37;{_BADGE}",
    "kit-bad": f"background-color:#b42318;{_BADGE}",
    "kit-open": f"background-color:#7d4e00;{_BADGE}",
    "kit-missing": f"background-color:#7d4e00;{_BADGE}",
    "kit-marked": "background:rgba(255,200,0,.22)",
    "kit-head kit-good": f"{_HEAD} #2da44e",
    "kit-head kit-bad": f"{_HEAD} #cf4a22",
    "kit-head kit-open": f"{_HEAD} #bf8700",
    "kit-come": f"{_CHANGED};background-color:#dafbe1",
    "kit-gone": f"{_CHANGED};background-color:#ffebe9",
    "kit-line": f"{_CHANGED};background-color:#fff3bf",
    "kit-differs": f"{_CHANGED};background-color:#e7ecf0;font-style:normal",
    "kit-day": "white-space:nowrap",
    "kit-sides": "white-space:pre-wrap;text-align:left;table-layout:fixed;width:100%",
}


class Part(NamedTuple):
    """A piece of a view: the same content twice."""

    html: str
    text: str


Content = Part | str | int | None


class Shown:
    """What a notebook cell displays: HTML where there is HTML, plain text elsewhere.

    ``place`` tells the page where the output belongs: ``verdict`` goes to the top; ``progress``, ``lab`` and ``absent``
    are left out, and so is a section in which every output is absent. People save and share notebooks without
    publishing them, so an output that would show a secret is not displayed at all.
    """

    def __init__(self, parts: Iterable[Part], place: str | None = None, more: Mapping[str, Any] | None = None):
        parts = list(parts)
        # JupyterLab would set what stands between two dollar signs as a formula.
        shown = "".join(part.html for part in parts)
        self.html = f'<div class="kit mathjax_ignore" style="overflow-wrap:break-word">{shown}</div>'
        self.text = "\n\n".join(part.text for part in parts if part.text)
        self.place = place
        self.more = dict(more or {})  # for programs that read the output, beside the place

    def _repr_mimebundle_(self, include=None, exclude=None):
        shown = self
        if kinds := kinds_shown(self.html, self.text):
            withheld = f"Not displayed, since a secret would show here ({', '.join(kinds)}). {REMEDY}"
            shown = Shown([tag("p", withheld, kind="kit-note")])
        about = {"kit": self.place, **self.more} if self.place else {}
        cards = _CARDS if "kit-cards" in shown.html or "kit-grid" in shown.html else ""
        return {"text/html": shown.html + cards, "text/plain": shown.text}, about

    def __repr__(self) -> str:
        return self.text


_OF_ONE_RUN = (
    (re.compile(r"\b(127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1\]):\d{2,5}\b"), r"\1:<port>"),
    (re.compile(r"(?i)\b(process|pid)([ =:]*\[?)\d+"), r"\1\2<number>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "0x<address>"),
)


def steady(text: object) -> str:
    """Printed text without what differs from run to run: ports here, process numbers, times, addresses."""
    shown = str(text)
    for pattern, instead in _OF_ONE_RUN:
        shown = pattern.sub(instead, shown)
    return shown


def part(content: Content) -> Part:
    if isinstance(content, Part):
        return content
    text = "" if content is None else safe(content)
    return Part(html.escape(text), text)


def join(*contents: Content, between: str = "") -> Part:
    parts = [part(content) for content in contents if content is not None]
    return Part(html.escape(between).join(p.html for p in parts), between.join(p.text for p in parts))


def stack(*contents: Content) -> Part:
    """Blocks, one below the other."""
    parts = [part(content) for content in contents if content is not None]
    return Part("".join(p.html for p in parts), "\n\n".join(p.text for p in parts))


def tag(name: str, *contents: Content, kind: str | None = None) -> Part:
    """An element; ``kind`` is a class of the page's style sheet, never data."""
    inner = join(*contents)
    return Part(f"<{name}{styled(kind)}>{inner.html}</{name}>", inner.text)


def code(text: object) -> Part:
    """Code in a line of text; long code may break only after a folder of its path, or after a dot of its name."""
    shown = safe(str(text))
    words = ([word] if len(word) <= _UNBROKEN else _pieces(word) for word in re.split("( )", shown))
    return Part(f"<code>{_joined(piece for pieces in words for piece in pieces)}</code>", shown)


def _pieces(word: str) -> list[str]:
    return re.findall(r"[^/]+/*|/+" if "/" in word else r"[^.]+\.*|\.+", word)


_PLACE = re.compile(r"(?<![\w/.<])(?:[\w.-]+/)*[\w.-]*\w\.(?:pyi?|ini|cfg|toml|ya?ml)(?::\d+)?(?![\w/]|\.\w)")


def with_places(sentence: str) -> Part:
    """A sentence in which each path of a file, with its line, is code."""
    parts, end, sentence = [], 0, safe(sentence)
    for match in _PLACE.finditer(sentence):
        parts += [sentence[end : match.start()], code(match[0])]
        end = match.end()
    return join(*parts, sentence[end:])


def with_code(text: str) -> Part:
    """Text that people wrote: what stands between backticks is code."""
    pieces = re.split(r"`([^`\n]+)`", safe(text))  # as a whole: what is secret in it may be known by what stands before
    return join(*(code(piece) if number % 2 else piece for number, piece in enumerate(pieces)))


def para(*contents: Content, kind: str | None = None) -> Part:
    return tag("p", *contents, kind=kind)


def day(date: str, most: int = 10) -> Part:
    """The day of an ISO date, or with ``most`` more of it, in one line."""
    return tag("span", date[:most], kind="kit-day")


def strong(*contents: Content) -> Part:
    return tag("strong", *contents)


def absent(because: str) -> Shown:
    """A view that has nothing to show for this incident: a note in JupyterLab, nothing on the page."""
    return Shown([para(because, kind="kit-note")], place="absent")


def missing(what: str) -> Part:
    """A mark for what only people can add; the kit never makes it up."""
    return tag("span", f"missing: {what}", kind="kit-missing")


def word(ok: bool | None, yes: str = "ok", no: str = "failed", unknown: str = "not asked") -> Part:
    """A judgement as a word, coloured where there is a style sheet."""
    return judged(ok, unknown if ok is None else yes if ok else no)


def judged(ok: bool | None, text: str) -> Part:
    """A text coloured as good, bad or open."""
    return tag("strong", text, kind=_KINDS[ok])


def top_line(ok: bool | None, text: str) -> Part:
    """The first line of a banner, with a border that is good, bad or open."""
    return para(strong(text), kind=f"kit-head {_KINDS[ok]}")


def _joined(pieces: Iterable[str]) -> str:
    shown = ""
    for piece in pieces:
        # Not before a mark, and not where there is a space to break at.
        shown += ("<wbr>" if shown and not shown[-1].isspace() and piece[:1].isalnum() else "") + html.escape(piece)
    return shown


def items(contents: Iterable[Content], *, ordered: bool = False, places: Sequence[str] = ()) -> Part:
    """A list; ``places`` are the ids of its items, of the kit's own making."""
    parts = [part(content) for content in contents]
    name = "ol" if ordered else "ul"
    marks = [f"{number}. " if ordered else "- " for number in range(1, len(parts) + 1)]
    ids = [f' id="{place}"' for place in places] or [""] * len(parts)
    shown = "".join(f"<li{place}>{item.html}</li>" for place, item in zip(ids, parts, strict=True))
    lines = (mark + item.text for mark, item in zip(marks, parts, strict=True))
    return Part(f"<{name}>{shown}</{name}>", "\n".join(lines))


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Content]],
    *,
    marked: Iterable[int] = (),
    kind: str = "kit-cards",
) -> Part:
    """A table whose first column heads its rows; ``marked`` are numbers of rows that stand out."""
    caption, head = safe(caption), [safe(name) for name in head]
    cells = [[part(cell) for cell in row] for row in rows]
    top = "".join(f'<th scope="col" role="columnheader"{_CELL}>{html.escape(name)}</th>' for name in head)
    labels = [f'<td role="cell" data-label="{html.escape(name[:_LABEL])}"{_CELL}>' for name in head[1:]]
    body = []
    for first, *others in cells:
        row = "".join(f"{label}{cell.html}</td>" for label, cell in zip(labels, others, strict=True))
        body.append(f'<th scope="row" role="rowheader"{_CELL}>{first.html}</th>{row}')
    lines = [" | ".join(head), *(" | ".join(cell.text.replace("\n", " ") for cell in row) for row in cells)]
    return Part(_framed(caption, styled(kind), top, body, set(marked), roles=True), f"{caption}\n" + "\n".join(lines))


def _framed(caption: str, look: str, top: str, rows: list[str], marked: set[int], *, roles: bool = False) -> str:
    """A table's element; with roles it stays a table for readers where a narrow screen shows its rows as cards."""
    table_, group, row = (f' role="{name}"' if roles else "" for name in ("table", "rowgroup", "row"))
    looks = (styled("kit-marked" if number in marked else None) for number in range(len(rows)))
    body = "".join(f"<tr{row}{of_row}>{cells}</tr>" for of_row, cells in zip(looks, rows, strict=True))
    caption = f"<caption{CAPTION}>{html.escape(caption)}</caption>"
    head = f"<thead{group}><tr{row}>{top}</tr></thead>"
    return f"<table{table_}{look}{_TABLE}>{caption}{head}<tbody{group}>{body}</tbody></table>"


def mark(ok: bool | None, sign: str, meaning: str) -> Part:
    """A judgement as a sign in a grid; screen readers and plain text get its meaning."""
    kind = "kit-nothing" if sign == "–" else _KINDS[ok]
    style = f' style="{_STYLES.get(kind, "font-weight:700")};text-decoration:none"'
    return Part(f'<abbr class="{kind}" title="{html.escape(meaning)}"{style}>{sign}</abbr>', meaning)


def grid(
    caption: str,
    head: Sequence[Content],
    columns: Mapping[str, str],
    rows: Iterable[tuple[Content, Content, Sequence[Part]]],
    *,
    marked: Iterable[int] = (),
) -> Part:
    """A table of marks: its columns are numbered, and a legend below says what each number stands for.

    :param columns: the name of each, with what it asks where the name does not say it
    :param rows: of each the name, the judgement and a mark a column
    """
    head, rows = [*map(part, head)], [(part(name), part(verdict), marks) for name, verdict, marks in rows]
    narrow = ' style="text-align:center;vertical-align:top"'
    top = "".join(f'<th scope="col"{_CELL}>{name.html}</th>' for name in head)
    top += "".join(f'<th scope="col"{narrow}>{number}</th>' for number in range(1, len(columns) + 1))
    body = []
    for name, verdict, marks in rows:
        cells = "".join(f"<td{narrow}>{sign.html}</td>" for sign in marks)
        body.append(f'<th scope="row"{_CELL}>{name.html}</th><td{_CELL}>{verdict.html}</td>{cells}')
    shown = _framed(safe(caption), ' class="kit-grid"', top, body, set(marked))
    legend = items((f"{name}: {asks}" if asks else name for name, asks in columns.items()), ordered=True)
    signs = ((True, "✓", "pass"), (False, "✗", "fail"), (None, "?", "undecided"), (None, "–", "nothing to check"))
    signs = join(*(join(mark(ok, sign, sign), f" {meaning}") for ok, sign, meaning in signs), between=", ")
    lines = [" | ".join([*(name.text for name in head), *map(safe, columns)])]
    lines += [" | ".join([name.text, verdict.text, *(sign.text for sign in marks)]) for name, verdict, marks in rows]
    below = stack(
        para("The numbers stand for the checks: ", kind="kit-note"), legend, para(signs, ".", kind="kit-note")
    )
    return Part(f'{shown}<div class="kit-legend">{below.html}</div>', f"{caption}\n" + "\n".join(lines))


def folded_table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Content]], *, marked: Iterable[int] = ()
) -> Part:
    """A table that its caption opens; in plain text it is always open."""
    shown = table(caption, head, rows, marked=marked)
    return Part(fold(caption, shown).html, shown.text)


def fold(
    summary: Content,
    *contents: Content,
    open: bool = False,
    group: str | None = None,
    kind: str | None = None,
    place: str | None = None,
) -> Part:
    """Content that a line opens; a browser keeps one fold of a ``group`` open at a time."""
    top, inner = part(summary), stack(*contents)
    name = (f' name="{group}"' if group else "") + (f' id="{place}"' if place else "")
    shown = f"<details{name}{styled(kind)}{' open' if open else ''}><summary>{top.html}</summary>{inner.html}</details>"
    return Part(shown, f"{top.text}\n{inner.text}" if open else top.text)


def strip(contents: Iterable[Content], *, marked: Iterable[int] = ()) -> Part:
    """Boxes in a row, in order, those that are marked under a red line; they wrap into the next row where there is no room."""
    parts, marked = [part(content) for content in contents], set(marked)
    box = "flex:1 1 9em;min-width:9em;max-width:16em;padding:4px;border-top:3px solid"
    looks = f' style="{box} #8c959f"', f' class="kit-exposed" style="{box} #cf4a22"'
    cells = "".join(f"<li{looks[number in marked]}>{item.html}</li>" for number, item in enumerate(parts))
    row = ' style="display:flex;flex-wrap:wrap;gap:6px;padding-left:0;list-style-type:none"'
    lines = "\n".join(f"- {part.text}".replace("\n\n", "; ") for part in parts)
    return Part(f'<ol class="kit-strip"{row}>{cells}</ol>', lines)


def source(
    lines: Iterable[tuple[int, str]], *, marked: Iterable[int] = (), differing: Iterable[int] = (), most: int = 300
) -> Part:
    """Numbered source lines; marked ones carry a ``>``, those that differ from another source a ``≠``.

    :param most: characters of one line
    """
    marked, differing, shown, text = set(marked), set(differing), [], []
    for number, line in lines:
        sign = ">" if number in marked else "≠" if number in differing else " "
        line = safe(line)
        line = line if len(line) <= most else f"{line[:most]} … {len(line) - most} more characters"
        row = f"{sign} {number:>4}  {line}"
        text.append(row)
        row = html.escape(row)
        shown.append(in_line({"≠": ("em", "kit-differs"), ">": ("mark", "kit-line")}.get(sign), row))
    joined = in_lines(shown)
    return Part(f'<pre class="kit-source"{PRE}><code>{joined}</code></pre>', "\n".join(text))


def in_line(kind: tuple[str, str] | None, shown: str) -> str:
    """A line of preformatted text, in the element that ``kind`` names, or as it is."""
    return f"<{kind[0]}{styled(kind[1])}>{shown}</{kind[0]}>" if kind else shown


def in_lines(rows: Iterable[str]) -> str:
    """Lines one below the other; an element that fills its row needs no line end."""
    rows = list(rows)
    ends = ["" if row.startswith("<") else "\n" for row in rows[:-1]] + [""]
    return "".join(row + end for row, end in zip(rows, ends, strict=True))


def preformatted(text: object) -> Part:
    shown = safe(text)
    return Part(f"<pre{PRE}>{html.escape(shown)}</pre>", shown)


def line_of_times(*contents: Content) -> Part:
    """The one line of a page that differs between two runs, whatever its text."""
    inner = stack(*contents)
    shown = re.sub(r"\s*\n\s*", " ", inner.html)
    return Part(f'\n<div class="kit-times">{shown}</div>\n', inner.text)


def beside(*columns: Part) -> Part:
    """Columns side by side where there is room, else one below the other."""
    # The style is for JupyterLab; the page has its own and takes this one out.
    cells = "".join(f'<div class="kit-column" style="flex:1 1 24em;min-width:0">{it.html}</div>' for it in columns)
    shown = f'<div class="kit-columns" style="display:flex;flex-wrap:wrap;gap:1em">{cells}</div>'
    return Part(shown, "\n\n".join(column.text for column in columns))


def styled(kind: str | None) -> str:
    style = f' style="{_STYLES[kind]}"' if kind in _STYLES else ""
    return f' class="{kind}"{style}' if kind else ""
