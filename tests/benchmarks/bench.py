"""Measures how fast the kit is: ``make bench``, or some parts of it: ``make bench ONLY="probe trace"``.

A part is a module ``part_NAME.py`` beside this file, whose ``measure()`` gives ``{key: Row}``. The table is printed, and
``results.json`` keeps the newest figures of every part: ``{key: median}`` for each row that has a limit, and under
``rows`` each row with its spread. What is measured and where the time goes stands in ``README.md``.
"""

import importlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
RESULTS = HERE / "results.json"
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(HERE)]


def parts() -> list[str]:
    return sorted(path.stem.removeprefix("part_") for path in HERE.glob("part_*.py"))


def keep(part: str, rows: dict[str, dict]) -> dict:
    """Put a part's rows in place of its former ones; everything else stays."""
    kept = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else {}
    kept = {key: row for key, row in kept.items() if row["part"] != part}
    kept.update({key: {"part": part, **row} for key, row in rows.items()})
    headlines = {key: row["median"] for key, row in kept.items() if row["limit"] is not None}
    found = {**headlines, "rows": kept}
    RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found


def table(rows: dict[str, dict]) -> str:
    """The rows as a Markdown table."""
    lines = ["| key | what | median | least to most | pairs | limit | |", "|---|---|---|---|---|---|---|"]
    for key, row in rows.items():
        unit = "" if row["unit"] == "ratio" else " " + row["unit"]
        limit = "" if row["limit"] is None else f"{row['limit']:g}{unit}"
        met = {None: "", True: "met", False: "**not met**"}[row["met"]]
        spread = f"{row['min']:.4g} to {row['max']:.4g}"
        lines.append(
            f"| {key} | {row['what']} | {row['median']:.4g}{unit} | {spread} | {row['pairs']} | {limit} | {met} |"
        )
    return "\n".join(lines)


def main(asked: list[str]) -> int:
    unknown = set(asked) - set(parts())
    if unknown:
        print(f"there is no part {', '.join(sorted(unknown))}; there are: {', '.join(parts())}", file=sys.stderr)
        return 2
    for part in asked or parts():
        print(f"measuring {part}", file=sys.stderr, flush=True)
        rows = {key: row.as_json() for key, row in importlib.import_module(f"part_{part}").measure().items()}
        print(table(rows), flush=True)  # now: a later part that fails takes no figure along
        keep(part, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
