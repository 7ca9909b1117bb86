"""Who imported that: the question that people ask first, answered from a startup or from one that was kept."""


def test_a_table_is_told_with_every_registration_and_the_lines_that_led_to_it(kit, duplicate, write_incident, tmp_path):
    incident, kept = write_incident(duplicate), tmp_path / "kept.jsonl"
    report = kit("why", incident, "invoices", "--json", "--trace", kept).json
    assert [event["what"] for event in report["events"]] == ["registered", "rejected"]
    lines = [[f"{frame['file']}:{frame['line']}" for frame in event["chain"]] for event in report["events"]]
    assert lines == [["service/main.py:2", "service/billing.py:5"], ["service/main.py:3", "service/legacy.py:5"]]
    answer = kit("why", incident, "service.db", "--from-trace", kept)
    assert answer.code == 0 and "1. executed in step 1: file service/db.py" in answer.out
    assert "service/legacy.py:3" in answer.out  # it asked for what was there already


def test_a_name_that_nothing_has_is_told_with_those_that_look_like_it(kit, duplicate, write_incident):
    answer = kit("why", write_incident(duplicate), "invoice")
    assert answer.code == 3 and "Did you mean" in answer.out and "invoices" in answer.out
