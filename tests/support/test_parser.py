"""Usage errors of every command are one sentence, and every `--help` has the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.errors import UsageError
from wsgn.support.parser import CommandParser


def parser() -> CommandParser:
    result = CommandParser(prog="wsgn-try", description="Try.")
    result.add_argument("film", type=Path, help="to look at")
    result.add_argument("-n", "--number", type=int, default=3, help="of things")
    result.add_argument("--share", type=float, default=0.5, help="of 100 %%")
    result.add_argument("--tiou", type=float, nargs="+", default=(0.1, 0.3), help="overlaps")
    result.add_argument("--size", choices=("big", "small"), default="big", help="(default: big!)")
    result.add_argument("--where", type=Path, help="folder")
    result.add_argument("--name", help="of it")
    either = result.add_mutually_exclusive_group()
    either.add_argument("--up", action="store_true", help="climb")
    either.add_argument("--down", action="store_true", help="fall")
    return result


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "the following arguments are required: film"),
        ("a --number x", "-n/--number must be a whole number, got 'x'"),
        ("a --share x", "--share must be a number, got 'x'"),
        (f"a --number {'9' * 5000}", f"-n/--number must be a whole number, got '{'9' * 59}..."),
        ("a --size huge", "--size must be one of big, small, got 'huge'"),
        ("a --up --down", "--up and --down exclude each other"),
        ("a --number", "-n/--number expects one argument"),
        ("a --nummer 3", "there is no option --nummer; --number is near it"),
        ("a --quite-another", "there is no option --quite-another"),
        ("a b", "unrecognized arguments: b"),
    ],
)
def test_a_usage_error_is_one_sentence(words: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        parser().parse_args(words.split())
    assert str(error.value) == f"{sentence}; see wsgn-try --help."


def test_the_help_has_every_default_once_and_short_names_of_values() -> None:
    text = " ".join(parser().format_help().split())
    for part in (
        "--number N of things (default: 3)",
        "--share X of 100 % (default: 0.5)",
        "overlaps (default: 0.1 0.3)",
        "--where PATH folder --name NAME of it --up climb",
        "(default: big!)",
    ):
        assert part in text
    assert text.count("default") == 4


def test_subcommands_say_their_own_name() -> None:
    whole = CommandParser(prog="wsgn-try")
    part = whole.add_subparsers(required=True, metavar="KIND").add_parser("part")
    part.add_argument("--number", type=int)
    with pytest.raises(UsageError, match=r"see wsgn-try part --help\.$"):
        whole.parse_args(["part", "--number", "x"])
