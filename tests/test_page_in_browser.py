"""The page of the bundled incident in a real browser: on any screen, by keyboard, printed, and without asking anybody."""

import re

import pytest
from browser import BROKEN_WORDS, watched

pytestmark = pytest.mark.xdist_group("page")
OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.removeAttribute('name'); one.open = true; })"
FOCUSABLE = "a[href], summary, [tabindex='0']"


@pytest.fixture(scope="module")
def address(bundled_page):
    return bundled_page.as_uri()


@pytest.fixture(params=["light", "dark"])
def page(request, chromium, address):
    settings = {"color_scheme": request.param, "viewport": {"width": 1280, "height": 900}}
    with watched(chromium, address, **settings) as (context, seen):
        page = context.new_page()
        page.goto(address)
        yield page
        assert seen.asked == [] and seen.complaints == [] and seen.crashes == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_people_out(scheme, chromium, address):
    """All rules at three widths, with everything opened. Colours do not depend on the width; the other rules ask for none."""
    from axe_playwright_python.sync_playwright import Axe

    with watched(chromium, address, color_scheme=scheme, bypass_csp=True) as (context, _):
        page = context.new_page()
        page.goto(address)
        page.evaluate(OPEN_ALL)
        colours = ["color-contrast", "link-in-text-block"]
        for width in (1280, 768, 375) if scheme == "light" else (1280,):
            page.set_viewport_size({"width": width, "height": 800})
            asked = {"resultTypes": ["violations"], "rules": {name: {"enabled": width == 1280} for name in colours}}
            if scheme == "dark":
                asked["runOnly"] = {"type": "rule", "values": colours}
            found = Axe().run(page, options=asked)
            assert found.violations_count == 0, found.generate_report()


def test_axe_would_find_what_keeps_people_out(chromium, address):
    from axe_playwright_python.sync_playwright import Axe

    with watched(chromium, address, bypass_csp=True) as (context, _):
        page = context.new_page()
        page.goto(address)
        page.evaluate(
            """() => { document.querySelector('h1').style.color = '#ccc'; document.documentElement.removeAttribute('lang');
                document.querySelectorAll('main > *').forEach((one, at) => at > 3 && one.remove()); }"""
        )
        found = Axe().run(page).generate_snapshot()
        assert "color-contrast" in found and "html-has-lang" in found


def test_no_text_has_to_be_scrolled_sideways_on_a_phone(page):
    """Pictures, and the table that is read along and down, keep both their ways, in boxes of their own (WCAG 1.4.10)."""
    page.evaluate(OPEN_ALL)
    for width in (1280, 375, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        wide = page.evaluate(
            """() => [...document.querySelectorAll('.scroll:not(.drawing):not(:has(.kit-matrix))')].filter(one => one.scrollWidth > one.clientWidth + 1)
                .map(one => one.getAttribute('aria-label'))"""
        )
        assert width > 400 or not wide, wide


def test_every_part_is_reached_by_keyboard_and_shows_that_it_is(page):
    there = page.evaluate(
        f"""() => [...document.querySelectorAll("{FOCUSABLE}")].filter(one => one.checkVisibility()).map((one, at) => {{
            one.dataset.at = at; return one.textContent.slice(0, 40); }})"""
    )
    reached = []
    for _ in range(len(there) + 2):
        page.keyboard.press("Tab")
        at, outline = page.evaluate(
            """() => { const one = document.activeElement, style = getComputedStyle(one);
                return [one.dataset.at, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]; }"""
        )
        if at is None:  # the end of the page
            break
        assert outline, there[int(at)]
        reached.append(int(at))
    assert reached == list(range(len(there)))


def test_a_fold_opens_by_keyboard_and_its_group_keeps_one_open(page):
    steps = page.locator("details[name=kit-imports]")
    page.evaluate("document.querySelectorAll('details:has(details)').forEach(one => { one.open = true; })")
    steps.nth(0).locator("summary").focus()
    page.keyboard.press("Enter")
    assert steps.nth(0).get_attribute("open") is not None
    steps.nth(1).locator("summary").focus()
    page.keyboard.press("Space")
    assert steps.nth(1).get_attribute("open") is not None and steps.nth(0).get_attribute("open") is None


def test_printed_it_is_dark_on_white_and_shows_what_is_open(page):
    page.evaluate("document.querySelectorAll('details.kit-fix').forEach((one, at) => { one.open = at === 0; })")
    page.evaluate("document.querySelector('details:has(> .kit-fix)').open = true")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 40)"
    seen = page.evaluate(
        """() => Object.fromEntries(['nav', 'details.code', '.permalink', '.verdict', 'details.kit-fix[open] table', '.drawing svg']
            .map(name => [name, document.querySelector(name).checkVisibility()]))"""
    )
    assert seen == {
        "nav": False,
        "details.code": False,
        ".permalink": False,
        ".verdict": True,
        "details.kit-fix[open] table": True,
        ".drawing svg": True,
    }
    page.emulate_media(media=None)
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF") and len(printed) > 50_000


def test_whoever_opens_it_sees_cause_lines_change_and_actions_at_once(chromium, address):
    """With all details closed it is short, and the first screen has what decides; printed it fits a meeting."""
    with watched(chromium, address, viewport={"width": 1280, "height": 900}) as (context, _):
        page = context.new_page()
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = false; })")
        assert page.evaluate("document.scrollingElement.scrollHeight") <= 8_000
        banner = page.locator(".verdict")
        assert banner.bounding_box()["y"] + banner.bounding_box()["height"] <= 960
        shown = banner.inner_text()
        for part in (
            "fix verified",
            "introduced",
            "Cause.",
            "First definition",
            "What to change",
            "Who was hit.",
            "Actions",
        ):
            assert part in shown, part
        headings = page.locator("main h2, main h3").all_inner_texts()
        assert len(headings) == len(set(headings)) and headings[0].startswith("Evidence")
        assert len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(format="A4"))) <= 8


@pytest.mark.parametrize("width", [768, 375])
def test_no_cell_loses_its_name(width, chromium, address):
    """A card's cells are named by their column."""
    with watched(chromium, address, viewport={"width": width, "height": 900}) as (context, _):
        page = context.new_page()
        page.goto(address)
        page.evaluate(OPEN_ALL)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('.kit-cards td')].filter(one => one.textContent.trim()
                && !(one.dataset.label || '').trim()).map(one => one.textContent.slice(0, 80))"""
        )
        assert nameless == []


def test_no_cell_of_a_table_breaks_inside_a_word(chromium, address):
    with watched(chromium, address, viewport={"width": 1280, "height": 900}) as (context, _):
        page = context.new_page()
        page.goto(address)
        page.evaluate(OPEN_ALL)
        assert page.evaluate(BROKEN_WORDS, ".kit table") == []
