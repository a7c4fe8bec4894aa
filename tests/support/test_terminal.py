"""Text of strangers on terminals."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest

from wsgn.support.tables import columns
from wsgn.support.terminal import (
    json_text,
    print_text,
    print_words,
    printable,
    quoted,
    say_above_bars,
    without_surrogates,
    write_text,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("e\x1b[31mX\x1b[0m.mp4", r"e\u001b[31mX\u001b[0m.mp4"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x00\x7f\x9b2J", r"\u0000\u007f\u009b2J"),
        ("gpj.\u202e4pm", r"gpj.\u202e4pm"),
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\u0085d"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\udb40\udc41"),
        # Words of all scripts, and emoji that are joined.
        ("é中 שלום می‌خواهم 👩‍💻 a b", "é中 שלום می‌خواهم 👩‍💻 a b"),
    ],
)
def test_what_moves_a_terminal_is_escaped_and_words_are_not(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_control_character_of_unicode_is_left() -> None:
    every = "".join(map(chr, range(0x110000)))
    kinds = {unicodedata.category(letter) for letter in printable(every)}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert printable(every, keep="\n").count("\n") == 1


def test_json_means_what_it_meant() -> None:
    document = {"label\x9b\u202e\n": ["\x7f", "\ud800", "\U000e0041", "é中", 0.1]}
    for indent in (None, 1):
        text = json_text(document, indent=indent)
        assert json.loads(text) == document
        assert printable(text, keep="\n") == text
        assert "é中" in text
    with pytest.raises(ValueError, match="JSON"):
        json_text({"a": float("nan")})


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_letters_that_an_encoding_lacks_are_escaped(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    write_text("ünï 中 ─█ 👩\n", stream)
    shown = raw.getvalue().decode(encoding)
    expected = {
        "ascii": r"\u00fcn\u00ef \u4e2d \u2500\u2588 \ud83d\udc69",
        "latin-1": r"ünï \u4e2d \u2500\u2588 \ud83d\udc69",
        "cp1252": r"ünï \u4e2d \u2500\u2588 \ud83d\udc69",
        "utf-8": "ünï 中 ─█ 👩",
    }
    assert shown == expected[encoding] + "\n"
    assert json.loads(f'"{shown[:-1]}"') == "ünï 中 ─█ 👩"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("\udcc3\udca9.mp4", "é.mp4"),
        ("\udcff\udcfe", "\ufffd\ufffd"),
        ("a\ud800\udcff", "a\ufffd\ufffd"),
    ],
)
def test_file_names_become_text(name: str, text: str) -> None:
    assert without_surrogates(name) == text


def test_words_for_a_stream_that_was_closed_go_to_no_other_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as closed:
        closed.setattr("sys.stdout", None)
        print_text("nobody reads this\n")
    with monkeypatch.context() as closed:
        closed.setattr("sys.stderr", None)
        print_words("nobody reads this\n")
        say_above_bars("nobody reads this")
    assert capsys.readouterr() == ("", "")


def test_names_in_a_sentence_are_quoted_and_not_too_many() -> None:
    assert quoted(["a, b", "c\nd"]) == r"'a, b', 'c\nd'"
    assert quoted([str(number) for number in range(25)]).endswith("'19' and 5 more")


def test_cells_of_a_table_stay_in_their_row() -> None:
    assert columns([["a\nb", "1"], ["c", "22"]]) == "  a\\nb   1\n  c     22\n"
