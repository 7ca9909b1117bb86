"""The whole page against one that was looked at and kept: nothing changes there without somebody seeing it.

Where a page differs, the new one is kept beside it and the failure says how to accept it.
"""

import re
from pathlib import Path

import pytest
from conftest import PROJECT

from kit.incident.load import load
from kit.postmortem.publication import publish

GOLD = Path(__file__).parent / "gold"
NEW = PROJECT / "results" / "gold"

# What differs with the machine, the interpreter and the versions, and not with the kit.
_SCRUBBED = (
    (r"<style>.*?</style>", "<style></style>"),
    (r'\n<div class="kit-times">.*', "\n<times>"),
    (r"(<details class=\"code\">.*?</details>)", lambda found: re.sub(r"</?span[^>]*>", "", found[1])),
    (
        r"(<tr[^>]*><th[^>]*>(?:application's Python|SQLAlchemy|guards|unguarded|notebook's Python|papermill|pandas"
        r"|graphviz-pure)</th><td[^>]*>).*?</td>",
        r"\1…</td>",
    ),
    (
        r"<code>((?!app/)[\w.~/<>-]*?(?:site-packages/)?(?:sqlalchemy|alembic|importlib|runpy)[\w./<>-]*):\d+</code>",
        r"<code>\1</code>",
    ),
    (r"All \d+ frames, \d+ of them of libraries</summary>.*?</details>", "All … frames</summary></details>"),
    (r"incident-\w+", "incident-…"),
    # Only while the first class is not yet collected; and how far the search comes in its time.
    (r"[\w./]+:\d+: SAWarning: This declarative base already contains[^\n]*\n[^\n]*\n", ""),
    (
        r"No tried list of imports and calls in one interpreter fails in the same way"
        r"|No shorter list was found in the time that the search may take; --smallest full searches on",
        "No shorter list was found",
    ),
)


def scrubbed(page: str) -> str:
    """A page without times, versions and temporary names, a line a block."""
    for pattern, instead in _SCRUBBED:
        page = re.sub(
            pattern, instead, page, flags=re.S if "style" in pattern or "code" in pattern or "All" in pattern else 0
        )
    return re.sub(r"(?<!\n)(<(?:tr|li|p|details|section|figure|figcaption|table|g|text|h\d)\b)", r"\n\1", page)


@pytest.mark.parametrize(
    "name",
    [
        "half-import-retried",
        pytest.param("computed-table-name-collision", marks=pytest.mark.slow),
        "extend-existing-merged-two-models",
        "healthy-import-cycle",
    ],
)
def test_the_page_is_the_one_that_was_kept(name, tmp_path):
    page = publish(load(PROJECT / "tests" / "applications" / name), tmp_path / name).html.read_text("utf-8")
    assert len(page.encode()) < 200_000
    new, kept = scrubbed(page), GOLD / f"{name}.html"
    if not kept.exists() or new != kept.read_text("utf-8"):
        NEW.mkdir(parents=True, exist_ok=True)
        (NEW / kept.name).write_text(new, "utf-8")
        differing = [
            both
            for both in zip(
                new.splitlines(), kept.read_text("utf-8").splitlines() if kept.exists() else (), strict=False
            )
            if both[0] != both[1]
        ]
        first = f"First line that differs:\n  new:  {differing[0][0]}\n  kept: {differing[0][1]}\n" if differing else ""
        pytest.fail(
            f"The page of {name} is not the one that was kept. {first}Look at the new one; if it is right, accept it:\n"
            f"  cp {(NEW / kept.name).relative_to(PROJECT)} {kept.relative_to(PROJECT)}",
            pytrace=False,
        )


def test_scrubbing_leaves_what_the_kit_says():
    page = '<h2 id="a">A?</h2><p>4 of 5</p>\n<div class="kit-times"><p>Run at 2026-01-02, 3.4 s</p></div>\n<p>kept</p>'
    page += (
        '<tr role="row"><th scope="row" role="rowheader">pandas</th><td role="cell" data-label="value">3.1.1</td></tr>'
    )
    page += "<code>sqlalchemy/orm/decl_base.py:201</code><code>shop/main.py:7</code>"
    new = scrubbed(page)
    assert "2026" not in new and "3.1.1" not in new and ":201" not in new
    assert all(one in new for one in ("A?", "4 of 5", "kept", "shop/main.py:7"))
