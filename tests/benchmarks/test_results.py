"""What benchmarks leave: strict JSON and Markdown, each with the machine."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

from benchmarks.results import describe_machine, write_results
from benchmarks.tables import NOTHING, table


def test_results_say_on_what_they_hold(tmp_path: Path) -> None:
    machine = describe_machine()
    rows = {"rows": [{"seconds": 1.5, "gone": math.nan}]}
    write_results(tmp_path / "a" / "speed.v2", rows, "| a table |", machine)
    document = json.loads((tmp_path / "a" / "speed.v2.json").read_text())
    assert document["rows"] == [{"seconds": 1.5, "gone": None}]
    assert document["machine"]["commit"] == machine.commit
    assert "numpy" in document["machine"]["versions"]
    first, last = (tmp_path / "a" / "speed.v2.md").read_text().split("\n\n")
    assert first == f"{machine}."
    assert last == "| a table |\n"


def test_tables_are_also_csv_and_latex(tmp_path: Path) -> None:
    first = table(
        ["row", "mAP", "count", "when"],
        [["a_b, 1", "41.4 ± 0.8", "1,234", NOTHING], [r"c \| d", "9.0 ± 1.5", "-2e-05", "never"]],
    )
    text = f"words\n\n{first}\n\nother words\n\n{table(['x', 'y'], [['only', 1]])}"
    write_results(tmp_path / "speed", {}, text)
    assert list(csv.reader((tmp_path / "speed.csv").open())) == [
        ["row", "mAP", "mAP deviation", "count", "when"],
        ["a_b, 1", "41.4", "0.8", "1234", ""],
        ["c | d", "9.0", "1.5", "-2e-05", "never"],
    ]
    latex = (tmp_path / "speed.tex").read_text()
    assert r"{}a\_b, 1 & 41.4 ± 0.8 & 1,234 & - \\" in latex
    assert (tmp_path / "speed_2.csv").read_text() == "x,y\nonly,1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "speed.csv", "speed.json", "speed.md", "speed.tex", "speed_2.csv", "speed_2.tex",
    ]  # fmt: skip


def test_a_column_of_nothing_is_left_out() -> None:
    lines = table(["", "empty", "number"], [["a", NOTHING, 1], ["b", NOTHING, NOTHING]])
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines()]
    assert [cells[0], *cells[2:]] == [["", "number"], ["a", "1"], ["b", NOTHING]]
