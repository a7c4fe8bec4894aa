"""Tables of text against lines written by hand."""

from __future__ import annotations

from wsgn.support.tables import columns

ROWS = [["label", "score", ""], ["a", "0.5", "##"], ["much longer", "10.25", "#"]]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns(ROWS) == (
        "  label        score\n  a              0.5  ##\n  much longer  10.25   #\n"
    )


def test_widths_gaps_and_sides_can_be_chosen() -> None:
    assert columns(ROWS[:2], indent="", gap=" ", num_left=2, least_first=7, least=6) == (
        "label   score\na       0.5        ##\n"
    )
