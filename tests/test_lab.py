"""JupyterLab in a real browser: every notebook run whole, saved, opened by somebody else; interrupted; given hostile text."""

import re
import shutil

import hostile
import nbformat
import pytest
from browser import processes_of, watched
from conftest import PROJECT
from nbformat.sign import NotebookNotary

from kit.incident.load import load
from kit.postmortem.page import render

pytestmark = pytest.mark.xdist_group("lab")
NOTEBOOKS = ("triage", "reproduce", "diagnose", "verify", "history", "postmortem")
# What each shows at least: tables, folded parts, pictures.
SHOWS = {
    "triage": (1, 0, 0),
    "reproduce": (5, 10, 2),
    "diagnose": (5, 2, 1),
    "verify": (2, 2, 0),
    "history": (1, 0, 0),
    "postmortem": (8, 10, 2),
}


@pytest.fixture(scope="session")
def incident(tmp_path_factory):
    """An incident all of whose names and messages are hostile; that the notebooks are whole with it is the harder case."""
    return hostile.write_incident(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def visited(lab, incident):
    """Gives a notebook as it was shown after its run, reopened by its author, and opened by somebody else; each run once."""
    known: dict[str, dict] = {}

    def visit(name: str) -> dict:
        if name not in known:
            file = f"{name}.ipynb"
            lab.open(file)
            lab.change(incident=str(incident))
            done = lab.run()
            shown = {"done": done, "live": lab.read()}
            lab.close_all()
            lab.open(file, kernel=False)
            shown["trusted"] = lab.read()
            lab.open(lab.as_received(file), kernel=False)
            shown["received"] = lab.read()
            lab.close_all()
            known[name] = shown
        return known[name]

    return visit


def test_make_lab_opens_on_a_page_that_says_what_to_do(lab):
    lab.close_all()
    lab.enter_again()
    page = lab.page
    shown = page.locator(".jp-MarkdownViewer")
    shown.get_by_text("Run All Cells").first.wait_for()
    assert "Run All Cells" in shown.inner_text() and "python -m kit new" in shown.inner_text()
    assert page.locator(".jp-Dialog").count() == 0 and page.locator(".Toastify__toast").count() == 0
    for name in NOTEBOOKS:
        assert shown.get_by_role("link", name=f"{name}.ipynb").count() == 1
    shown.get_by_role("link", name="triage.ipynb").click()
    page.wait_for_function("jupyterapp.shell.currentWidget?.context?.path === 'triage.ipynb'")
    lab.open("triage.ipynb")  # with its kernel, which begins by itself
    lab.close_all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_run_whole_and_stays_whole_for_whoever_opens_it(name, visited):
    shown = visited(name)
    assert shown["done"] is True
    for how in ("live", "trusted", "received"):
        cells = shown[how]
        assert [one["count"] for one in cells] == list(range(1, len(cells) + 1))
        assert not [one["text"] for one in cells if "application/vnd.jupyter.stderr" in one["kinds"]]
        assert not [one["source"] for one in cells if one["lost"]]
        found = tuple(sum(one[what] for one in cells) for what in ("tables", "folds", "pictures"))
        assert all(has >= least for has, least in zip(found, SHOWS[name], strict=True)), found
        if how == "live":
            before = found
        assert found == before
    assert all(one["trusted"] for one in shown["trusted"]) and not any(one["trusted"] for one in shown["received"])
    # Somebody else sees the same words, but for the style sheet of pandas, which is text to nobody.
    for mine, theirs in zip(shown["trusted"], shown["received"], strict=True):
        assert "dataframe" in mine["text"] or mine["text"] == theirs["text"]


MINIATURE = str(PROJECT / "tests" / "applications" / "extend-existing-merged-two-models")


@pytest.mark.parametrize(
    ("name", "incident", "seen"),
    [
        (
            "diagnose.ipynb",
            "incidents/energy_events",
            [("trusted", "Dark"), ("trusted", "Light"), ("received", "Light")],
        ),
        ("reproduce.ipynb", "incidents/energy_events", [("trusted", "Dark")]),
        ("verify.ipynb", MINIATURE, [("trusted", "Dark"), ("trusted", "Light")]),
    ],
)
def test_in_both_themes_no_word_breaks_nothing_is_cut_off_and_all_can_be_read(name, incident, seen, lab):
    """As its author sees it, also where there is little room, and as somebody who does not trust it."""
    lab.open(name)
    try:
        assert lab.page.evaluate("jupyterapp.shell.currentWidget.context.model.dirty") is False, "unsaved on opening"
        lab.change(incident=incident)
        assert lab.run() is True
        look_at(lab, name, seen)
    finally:
        lab.page.set_viewport_size({"width": 1400, "height": 1000})
        lab.close_all()


@pytest.mark.slow
def test_the_executed_postmortem_is_as_good_for_who_trusts_it_and_for_who_does_not(lab, bundled_page):
    name = "executed.ipynb"
    shutil.copy(bundled_page.with_suffix(".ipynb"), lab.notebooks / name)
    NotebookNotary(data_dir=str(lab.folder / "jupyter_data_dir")).sign(nbformat.read(lab.notebooks / name, 4))
    lab.open(name, kernel=False)
    try:
        assert all(cell["trusted"] and not cell["lost"] for cell in lab.read())
        look_at(lab, name, [("trusted", "Dark"), ("received", "Light")])
        cells = lab.read()
        assert not any(cell["trusted"] or cell["lost"] for cell in cells)
        shown = tuple(sum(cell[what] for cell in cells) for what in ("tables", "folds", "pictures"))
        assert all(has >= least for has, least in zip(shown, SHOWS["postmortem"], strict=True)), shown
    finally:
        lab.page.set_viewport_size({"width": 1400, "height": 1000})
        lab.close_all()


def look_at(lab, name: str, seen: list[tuple[str, str]]) -> None:
    """Judge the open notebook in some themes; "received": as somebody who does not trust it."""
    lab.page.set_viewport_size({"width": 1280, "height": 6000})  # what is out of sight is not laid out
    good = {"words": [], "wide": [], "axe": []}
    for number, (trust, theme) in enumerate(seen):
        if trust == "received":
            lab.close_all()
            lab.open(lab.as_received(name), kernel=False)
        lab.theme(theme)
        lab.page.wait_for_timeout(500)
        # Only colours depend on the theme, and they do not on the width.
        shown = lab.unreadable((1280,)) if number else lab.unreadable()
        assert shown == good, (theme, trust)


# ------------------------------------------------------------------------------------ hostile text


@pytest.fixture(scope="module")
def hostile_page(visited, lab, incident, chromium, tmp_path_factory):
    """The page of the hostile incident, on a phone and with everything opened, and what it did."""
    visited("postmortem")
    html = tmp_path_factory.mktemp("page") / "page.html"
    made = nbformat.read(lab.notebooks / "postmortem.ipynb", as_version=4)
    html.write_text(render(made, title=load(incident).title), encoding="utf-8")
    with watched(chromium, html.as_uri(), viewport={"width": 360, "height": 700}) as (context, seen):
        page = context.new_page()
        page.goto(html.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.wait_for_timeout(500)
        yield page, seen


@pytest.mark.slow
@pytest.mark.attempt("hostile")
@pytest.mark.parametrize("text", hostile.TEXTS)
def test_hostile_text_in_a_notebook_is_text(text, visited, lab):
    for how in ("live", "trusted", "received"):
        shown = [cell["text"] for cell in visited("reproduce")[how]]
        assert text not in hostile.SHOWN or any(hostile.SHOWN[text] in one for one in shown)
        assert not any(set(one) & hostile.STEERING for one in shown)
    assert lab.seen.hits == [] and lab.seen.dialogs == []


@pytest.mark.slow
@pytest.mark.attempt("hostile")
@pytest.mark.parametrize("text", hostile.TEXTS)
def test_hostile_text_on_the_page_is_text(text, hostile_page):
    page, seen = hostile_page
    shown = page.evaluate("document.body.innerText")
    assert text not in hostile.SHOWN or hostile.SHOWN[text] in shown
    assert not set(shown) & hostile.STEERING
    assert seen.hits == [] and seen.dialogs == []


@pytest.mark.slow
@pytest.mark.attempt("hostile")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_nothing_that_a_notebook_shows_acts_asks_or_breaks_the_layout(name, visited, lab):
    for how in ("live", "trusted", "received"):
        cells = visited(name)[how]
        assert not [link for cell in cells for link in cell["links"] if not link.startswith(lab.address)]
        assert max(cell["height"] for cell in cells) < 40_000
    assert lab.seen.hits == [] and lab.seen.asked == [] and lab.seen.dialogs == []


@pytest.mark.slow
@pytest.mark.attempt("hostile")
def test_nothing_on_the_page_acts_asks_or_breaks_the_layout(hostile_page):
    page, seen = hostile_page
    assert page.evaluate("[...document.links].filter(one => !one.getAttribute('href').startsWith('#')).length") == 0
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelectorAll('main').length") == 1
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert seen.hits == [] and seen.asked == [] and seen.dialogs == []
    assert seen.complaints == [] and seen.crashes == []  # what the page's own policy had to stop would stand here


# ------------------------------------------------------------------------------------ interrupting


@pytest.fixture
def slow(write_incident, duplicate):
    """An incident with a fix, whose startup takes longer than anybody waits."""
    duplicate["service/main.py"] = """
        import subprocess, time
        from service import billing
        subprocess.Popen(["sleep", "600"])
        time.sleep(600)
    """
    return write_incident(duplicate, limits={"seconds": 600})


@pytest.mark.parametrize("how", ["menu", pytest.param("twice", marks=pytest.mark.slow)])
def test_an_interrupt_ends_the_run_in_order_and_the_kernel_stays_usable(how, lab, slow, write_incident, duplicate):
    lab.open("reproduce.ipynb")
    try:
        lab.change(incident=str(slow))
        lab.begin()
        lab.page.wait_for_function(
            "jupyterapp.shell.currentWidget.content.node.textContent.includes('step 1: import: service.main')"
        )
        lab.until(lambda: len(processes_of(lab.folder / "tmp", "sleep")) == 1)
        lab.in_sight("step 1: import: service.main")  # though "Run All Cells" went to the last cell
        if how == "menu":
            lab.page.get_by_role("menuitem", name="Kernel", exact=True).click()
            lab.page.get_by_role("menuitem", name=re.compile("^Interrupt Kernel")).click()
        else:
            lab.page.evaluate(
                """async () => {
                    for (const time of [0, 50]) {
                        await new Promise(done => setTimeout(done, time));
                        await jupyterapp.commands.execute('notebook:interrupt-kernel');
                    }
                }"""
            )
        assert lab.end() is False
        cells = lab.read()
        said = [one for one in cells if "application/vnd.jupyter.stderr" in one["kinds"]]
        assert [one["text"].strip().splitlines()[-1] for one in said] == [
            "Interrupted: every process of the run has been ended; run it again to start over"
        ]
        assert "Traceback" not in said[0]["text"]
        assert [one["count"] is not None for one in cells] == [True] * 4 + [False] * (len(cells) - 4)
        assert processes_of(lab.folder / "tmp", "sleep") == [] and processes_of(lab.folder / "tmp", "supervisor") == []
        assert list((lab.folder / "tmp").glob("incident-*")) == []
        again = write_incident(duplicate | {"service/main.py": "from service import billing\n"}, folder="again")
        assert load(again)
        answer = lab.ask(f"from kit import load\nprint(reproduce(load({str(again)!r})).steps[0].ok)")
        assert answer.strip() == "True"
    finally:
        lab.close_all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            'incident = "incidents/gone/incident.yaml"',
            "incident = 'incidents/gone/incident.yaml': there is no such file",
        ),
        (
            'incidnet = "incidents/energy_events"',
            "incident is not set, or its name is misspelt",
        ),
    ],
)
def test_what_is_wrong_with_a_parameter_is_one_message_and_no_traceback(wrong, message, lab):
    lab.open("verify.ipynb")
    try:
        lab.write_parameters(wrong)
        lab.begin()
        assert lab.end() is False
        lab.in_sight(message)
        said = [one["text"].strip() for one in lab.read() if "application/vnd.jupyter.stderr" in one["kinds"]]
        assert len(said) == 1 and said[0].startswith(f"IncidentError: {message}")
        assert len(said[0].splitlines()) == 1 and str(PROJECT / "kit") not in said[0]
    finally:
        lab.close_all()


def test_a_syntax_error_in_the_parameters_is_shown_where_the_person_is(lab):
    lab.open("diagnose.ipynb")
    try:
        lab.write_parameters('incident = "incidents/energy_events')
        lab.begin()
        assert lab.end() is False
        lab.in_sight("unterminated string literal")
    finally:
        lab.close_all()
