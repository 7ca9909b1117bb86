"""Faults of imports and of logging: each named with its lines, and what only looks like one accused of nothing."""

from kit.diagnose.decision import find_mechanism
from kit.diagnose.looked import look_at
from kit.incident import load


def mechanism_of(file) -> tuple[str, list[str]]:
    finding, _, fault = find_mechanism(incident := load(file), look_at(incident))
    return finding.mechanism, [str(place) for place in fault.places] if fault else []


def test_a_cycle_is_told_by_the_line_that_asks_the_one_that_leads_back_and_the_one_that_would_bind(write_incident):
    files = {
        "service/__init__.py": "",
        "service/main.py": "import service.one",
        "service/one.py": "from service.two import b\na = 1",
        "service/two.py": "from service.one import a\nb = 2",
    }
    mechanism, places = mechanism_of(write_incident(files, expect={"error": "cannot import name 'a'"}))
    assert mechanism == "circular-import"
    assert places == ["service/two.py:1", "service/one.py:1", "service/one.py:2"]


def test_an_optional_import_that_changes_nothing_is_accused_of_nothing(write_incident):
    main = "try:\n    import service.fast\nexcept ImportError:\n    pass\n"
    files = {"service/__init__.py": "", "service/main.py": main, "service/fast.py": "import no_such_library"}
    assert mechanism_of(write_incident(files, expect={}))[0] == "none"


def test_the_error_that_a_disabled_logger_loses_is_shown_with_who_disabled_it(write_incident):
    main = """
        import logging
        import logging.config
        log = logging.getLogger("service.main")
        logging.config.dictConfig({"version": 1})
        try:
            raise LookupError("no stock")
        except LookupError:
            log.exception("lost")
    """
    mechanism, places = mechanism_of(write_incident({"service/__init__.py": "", "service/main.py": main}, expect={}))
    assert mechanism == "loggers-disabled"
    assert [place.partition(":")[0] for place in places] == ["service/main.py"] * 3
