"""The page of an executed notebook: whole, offline, harmless, and the same bytes each time; and the notebooks themselves."""

import base64
import functools
import json
import re
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from showing import Outline, active

from kit.postmortem.clean import clean_output, clean_prose
from kit.postmortem.page import render
from kit.postmortem.publication import execute
from kit.views.markup import table

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" onload="x()"><script>x()</script><text>hi</text></svg>'
SVG_ADDRESS = "data:image/svg+xml;base64," + base64.b64encode(SVG.encode()).decode()

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<img src="https://evil.example/x.png">',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="https://evil.example">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    "<iframe src=https://evil.example></iframe>",
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    "<style>body{display:none}</style>",
    '<link rel=stylesheet href="https://evil.example/x.css">',
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<form action="https://evil.example"><input name=a autofocus onfocus=alert(1)></form>',
    '<base href="https://evil.example/">',
    "<details open ontoggle=alert(1)>x</details>",
    '<p style="background:url(https://evil.example)">x</p>',
    '<div class="skip verdict" id="main">x</div>',
    "<object data=x></object><embed src=x>",
    "</main></body><script>alert(1)</script>",
    f'<picture><source srcset="https://evil.example/x"><img src="{SVG_ADDRESS}"></picture>',
    f'<picture><img alt="&quot; onload=&quot;x()" src="{SVG_ADDRESS}"></picture>',
    '<table><caption>" onfocus="alert(1)</caption><tr><td>x</table>',
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
]


def notebook(*cells):
    made = new_notebook(cells=list(cells))
    for number, cell in enumerate(made.cells):
        cell.id = f"c{number}"
    return made


def ran(source: str, *outputs, number: int = 1, tags=()):
    return new_code_cell(source, execution_count=number, outputs=list(outputs), metadata={"tags": list(tags)})


def html(text: str, place=None):
    return new_output("display_data", {"text/html": text, "text/plain": "x"}, metadata={"kit": place} if place else {})


def whole():
    return notebook(
        new_markdown_cell("# Postmortem\n\nWhy."),
        ran("incident = 1", tags=["parameters"]),
        new_markdown_cell("## What is it?\n\nText.\n\n## What is it?\n\n### Deeper <b>down</b>"),
        ran(
            "go()",
            html("<p>step 3 of 4</p>", "progress"),
            html('<div class="kit"><p class="kit-head kit-good">It reproduces</p></div>', "verdict"),
        ),
        ran(
            "t",
            html(
                "<table><thead><tr><th></th><th>a</th></tr></thead><tbody><tr><th>1</th><td>2</td></tr></tbody></table>"
            ),
        ),
        ran(
            "u",
            html(
                f'<figure><picture><img class="kit-picture" alt="two ways. More." src="{SVG_ADDRESS}"></picture></figure>'
            ),
        ),
        ran("print()", new_output("stream", name="stderr", text="\x1b[31mred & <b>\x1b[0m")),
        ran("v", new_output("execute_result", {"text/plain": "<Trace>"}, execution_count=1)),
    )


def test_parameters_that_this_run_replaced_are_not_shown():
    """They name another incident, the bundled one."""
    text = render(
        notebook(
            ran("incident = 'bundled'", tags=["parameters"]), ran("incident = 'mine'", tags=["injected-parameters"])
        ),
        title="T",
    )
    assert "bundled" not in text and "Cell 2, parameters of this run" in text and "mine" in text


@pytest.mark.attempt("hostile", "markup in an output, in prose and in a title")
@pytest.mark.parametrize("markup", HOSTILE)
def test_nothing_in_an_output_or_in_prose_can_act_or_load(markup):
    text = render(
        notebook(
            new_markdown_cell(markup),
            ran("1", html(markup)),
            ran("2", new_output("display_data", {"text/markdown": markup})),
            ran("3", new_output("display_data", {"image/svg+xml": markup})),
            ran(markup, new_output("stream", name="stdout", text=markup)),
            ran("4", new_output("error", ename=markup, evalue=markup, traceback=[markup])),
        ),
        title=markup,
    )
    assert active(text) == []
    body = Outline(text.partition("</head>")[2])
    assert not body.all("style") and not body.all("meta") and len(body.all("main")) == 1
    assert [attrs["id"] for _, attrs in body.tags if "id" in attrs and attrs["id"] == "main"] == ["main"]


def test_the_text_of_hostile_markup_in_code_is_kept():
    assert "&lt;script&gt;" in render(
        notebook(ran("'<script>'", new_output("stream", name="stdout", text="<script>"))), title="t"
    )


def test_what_reports_need_passes_the_allowlist():
    kept = '<details name="kit-imports"><summary>a</summary><table><tbody><tr><th scope="row">b</th><td colspan="2"><code>c</code></td></tr></tbody></table></details>'
    assert clean_output(kept) == kept
    assert clean_output("<style>x {}</style><script>y</script><svg><text>z</text></svg>a") == "a"
    assert clean_prose("<h2>a</h2>") == "<h2>a</h2>" and clean_output("<h2>a</h2>") == "<p>a</p>"


def test_the_page_forbids_scripts_and_addresses_by_itself():
    outline = Outline(render(whole(), title="t"))
    policy = [m["content"] for m in outline.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    ]
    assert not re.search(r"(src|href|srcset)=\"(?!#|data:)", render(whole(), title="t"))
    assert outline.all("html") == [{"lang": "en"}]


def test_the_verdict_comes_first_and_progress_not_at_all():
    text = render(whole(), title="Two definitions")
    assert (
        text.index("<h1>Two definitions</h1>")
        < text.index("It reproduces")
        < text.index('<nav aria-labelledby="contents"')
        < text.index("<main")
    )
    assert text.count("It reproduces") == 1 and "step 3 of 4" not in text


def test_contents_and_permalinks_lead_to_headings_of_their_own():
    outline = Outline(render(whole(), title="t"))
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) and {"what-is-it", "what-is-it-2", "deeper-down"} <= set(ids)
    assert {a["href"][1:] for a in outline.all("a")} <= set(ids)
    assert len(outline.all("h1")) == 1


def test_code_is_one_fold_at_the_end_and_outputs_are_where_they_belong():
    text = render(whole(), title="t")
    assert text.count('<details class="code">') == 1 and "Cell 1, parameters</p>" in text
    assert text.index('<details class="code">') > text.index("&lt;Trace&gt;")


def test_a_question_whose_every_answer_is_absent_is_not_asked():
    """One with an answer stays, and so does a heading that has only prose."""
    asked = notebook(
        new_markdown_cell("# P\n\n## Evidence\n\nSeen.\n\n### Which heads?\n\nWhy."),
        ran("1", html("<p>not there</p>", "absent")),
        new_markdown_cell("### Which lines?\n\nWhy."),
        ran("2", html("<p>not there</p>", "absent"), html("<p>line 3</p>")),
        new_markdown_cell("### The end?\n\nFor the notebook."),
        ran("3", html("<p>verdict again</p>", "lab")),
    )
    text = render(asked, title="t")
    shown = [one in text for one in ("Which heads?", "not there", "The end?", "verdict again")]
    assert shown == [False] * 4 and all(one in text for one in ("Evidence", "Seen.", "Which lines?", "line 3"))
    assert [a["href"] for a in Outline(text.partition("</nav>")[0]).all("a")] == ["#main", "#which-lines"]


def test_tables_scroll_by_keyboard_under_a_name_of_their_own():
    text = render(
        notebook(
            ran("1", html("<table><caption>A</caption><tr><td>1</table><table><caption>A</caption><tr><td>1</table>"))
        ),
        title="t",
    )
    assert [a["aria-label"] for a in Outline(text).all("div") if a.get("role") == "region"] == [
        "Table: A",
        "Table: A, 2",
    ]
    assert "<th></th>" not in render(whole(), title="t")


def test_a_cell_keeps_the_name_of_its_column_however_long_a_table_makes_it():
    shown = table("Checks", ["fix", "http: GET /v1/" + "orders/" * 40], [["full", "pass"]])
    (cell,) = Outline(render(notebook(ran("1", html(shown.html))), title="t")).all("td")
    assert cell["data-label"].startswith("http: GET /v1/orders/orders/")


def test_a_picture_is_in_the_page_with_its_alternative_text():
    text = render(whole(), title="t")
    assert '<svg role="img" aria-label="two ways. More." viewBox="0 0 1 1"><text' in text
    assert "<img" not in text and "xmlns" not in text


def test_a_box_of_a_picture_leads_to_its_place_and_nowhere_else():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="90pt"><a href="#kit-x"><text>b</text></a><a href="#main"><text>c</text></a></svg>'
    source = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
    output = f'<picture><img alt="p" src="{source}"></picture><ol><li id="kit-x">a</li><li id="main">b</li></ol>'
    outline = Outline(render(notebook(ran("1", html(output))), title="t"))
    assert [a["id"] for a in outline.all("li") if "id" in a] == ["kit-x"]
    assert [a["href"] for a in outline.all("a")] == ["#main", "#kit-x"]
    assert [a["role"] for a in outline.all("svg")] == ["group"]  # an img may hold no link


@pytest.mark.parametrize(
    ("wide", "shown"), [("900pt", ["drawing wide", "drawing narrow"]), ("1500pt", ["drawing any"])]
)
def test_a_picture_that_no_screen_holds_is_shown_upright(wide, shown):
    def source(width):
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}"><text>b</text></svg>'
        return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()

    output = f'<picture><source media="(max-width: 40rem)" srcset="{source("300pt")}"><img alt="p" src="{source(wide)}"></picture>'
    boxes = Outline(render(notebook(ran("1", html(output))), title="t")).all("div")
    assert [a["class"].removeprefix("scroll ") for a in boxes if "drawing" in a.get("class", "")] == shown


def test_terminal_codes_are_gone():
    text = render(whole(), title="t")
    assert "red &amp; &lt;b&gt;" in text and "\x1b" not in text and "[31m" not in text


def test_a_notebook_that_failed_says_so_at_the_top():
    failed = notebook(
        ran("x", new_output("error", ename="KeyError", evalue="'a'", traceback=["\x1b[31mTraceback\x1b[0m"])),
        new_code_cell("later"),
    )
    text = render(failed, title="t")
    assert "did not finish: cell 1 failed with KeyError" in text.partition("<main")[0]
    assert "did not finish: cell 2 has not been executed" in render(notebook(ran("a"), new_code_cell("b")), title="t")
    assert "did not finish" not in render(whole(), title="t")


def test_the_same_notebook_gives_the_same_bytes():
    assert render(whole(), title="t") == render(whole(), title="t")


# ------------------------------------------------------------------------------------ the notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_and_reads_as_prose(path):
    made = json.loads(path.read_text("utf-8"))
    assert (
        set(made["metadata"]) == {"kernelspec", "language_info"} and made["metadata"]["kernelspec"]["name"] == "python3"
    )
    kinds = [cell["cell_type"] for cell in made["cells"]]
    assert kinds[0] == "markdown"
    for cell in made["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            assert len(cell["source"]) <= 12
        else:
            for line in cell["source"]:
                assert not line.startswith(("## ", "### ")) or line.strip().endswith("?") or line == "## Evidence\n", (
                    line
                )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_prose_before_each_group_of_cells_says_why_and_the_last_one_says_the_verdict_again(path):
    """ "Run All Cells" ends at the last cell: there the verdict is to be seen."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    said = ["".join(cell["source"]).strip().splitlines() for cell in cells]
    assert sum("parameters" in cell["metadata"].get("tags", ()) for cell in cells) == 1
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code" and cells[number - 1]["cell_type"] == "markdown":
            line = said[number - 1][-1]
            assert not line.startswith("#") and line[-1] in ".:`", (number, line)
    assert 'place="lab"' in said[-1][-1] or said[-1][-1] == "views.made_by(found)"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_in_one_line_and_finds_the_kit_where_it_is_installed(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = [line for cell in cells if cell["cell_type"] == "code" for line in cell["source"]]
    imports = [line for line in code if re.match(r"\s*(from|import) ", line)]
    assert (
        len(imports) == 1
        and imports[0].startswith("from kit.notebook import ")
        and not any("sys.path" in line for line in code)
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_its_parameters_are(path):
    import papermill

    found = papermill.inspect_notebook(str(path))
    assert "incident" in found and all(one["help"] and one["inferred_type_name"] == "str" for one in found.values())


@functools.cache
def executed(cwd: str, incident: str) -> str:
    """The page of reproduce.ipynb, run for real."""
    with tempfile.TemporaryDirectory(prefix="incident-") as folder:
        out = Path(folder) / "out.ipynb"
        notebook = ROOT / "notebooks" / "reproduce.ipynb"
        execute(notebook, out, {"incident": incident}, scratch=Path(folder), cwd=Path(cwd))
        return render(nbformat.read(out, as_version=4), title="t")


SMALL = "tests/applications/alias-two-module-names"


def test_two_runs_differ_only_in_the_line_of_times():
    """Also where they ran: once from the project's folder, once from the notebooks'."""
    pages = [executed(cwd, SMALL).splitlines() for cwd in (str(ROOT), str(ROOT / "notebooks"))]
    times = [[number for number, line in enumerate(page) if 'class="kit-times"' in line] for page in pages]
    assert len(times[0]) == 1 and times[0] == times[1]
    differing = [number for number, both in enumerate(zip(*pages, strict=True)) if both[0] != both[1]]
    assert differing == times[0]


def test_the_page_of_a_run_is_small_and_tells_no_path_of_this_machine():
    text = executed(str(ROOT), SMALL)
    assert len(text.encode()) < 600_000 and active(text) == []
    assert str(ROOT) not in text and str(Path.home()) + "/" not in text
    assert "It reproduces" in text.partition("<main")[0] and "its end: cell" not in text
