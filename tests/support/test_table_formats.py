"""One table in four formats, each read back by something that was not written here."""

from __future__ import annotations

import csv
import io
import statistics

import pytest

from wsgn.support.table_formats import TABLE_FORMATS, Spread, format_table, spread

HEADING = ["results", "0.5", "average"]
ROWS = [
    ['a_b|<i>&,"c"', 41.234567, spread([40.0, 41.0, 43.5])],
    ["[x] 50%\\", float("nan"), None],
]


def test_mean_and_deviation_are_those_of_the_standard_library():
    values = [40.0, 41.0, 43.5]
    found = spread(values)
    assert isinstance(found, Spread)
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.deviation == pytest.approx(statistics.stdev(values))
    assert spread([7.5]) == 7.5


def test_csv_has_all_digits_and_deviations_in_columns_of_their_own():
    lines = list(csv.reader(io.StringIO(format_table(HEADING, ROWS, "csv", note="unseen"))))
    assert lines[0] == ["results", "0.5", "average", "average deviation"]
    assert lines[1][:2] == [ROWS[0][0], "41.234567"]
    assert [float(cell) for cell in lines[1][2:]] == [ROWS[0][2].mean, ROWS[0][2].deviation]
    assert lines[2] == ["[x] 50%\\", "", "", ""]


def test_markdown_shows_markup_as_it_is_written():
    lines = format_table(HEADING, ROWS, "markdown", note="all_of: 3").splitlines()
    assert lines[0] == r"all\_of: 3"
    assert lines[4].startswith(r'| a\_b\|\<i\>\&,"c" ')
    assert lines[4].endswith("41.23 | 41.50 ± 1.80 |")
    # Every line has the same columns: bars that are not escaped.
    assert {line.replace(r"\|", "").count("|") for line in lines[2:]} == {4}
    assert len({len(line) for line in lines[2:]}) == 1


def test_latex_escapes_and_balances():
    text = format_table(HEADING, ROWS, "latex", decimals=1, note="50 % of\nthem")
    lines = text.splitlines()
    assert lines[0] == r"% 50 % of\nthem"
    assert lines[1] == r"\begin{tabular}{lrr}"
    assert lines[5] == (
        r'{}a\_b\textbar{}\textless{}i\textgreater{}\&,"c" & $41.2$ & $41.5 \pm 1.8$ \\'
    )
    # A bracket behind \\ would be taken for its argument.
    assert lines[6] == r"{}[x] 50\%\textbackslash{} & -- & -- \\"
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("style", TABLE_FORMATS)
def test_control_characters_stay_in_their_cell(style):
    text = format_table(["a", "b"], [["x\ny\x1b", 1.0]], style)
    rows = list(csv.reader(io.StringIO(text))) if style == "csv" else text.splitlines()
    assert len([row for row in rows if "x" in str(row)]) == 1
    assert style == "csv" or "\x1b" not in text
