"""README and docs/ as tests read them: blocks of code, and the commands in them and in the text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from places import ROOT

# By their paths in the checkout.
PAGES = (
    "README.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))),
    "kernels/README.md",
)

_FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROGRAMS = (
    r"(wsgn-\w+|python|pip|make|torchrun|pytest|curl|tritonserver|(export|benchmarks)/\w+\.\w+)"
)
_COMMAND = re.compile(rf"{_PROGRAMS}(?= )")


@dataclass(frozen=True, kw_only=True)
class Block:
    """Fenced code in a page."""

    # Behind the opening fence: "sh", "python", "" ...
    kind: str
    text: str
    # Of its first line, from 1.
    line: int


def read_page(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    return [
        Block(kind=found[1], text=found[2], line=text.count("\n", 0, found.start(2)) + 1)
        for found in _FENCED.finditer(text)
    ]


def block_commands(text: str) -> Iterator[str]:
    """Commands in the blocks marked `sh`, one line each, without remarks."""
    for block in blocks(text):
        if block.kind == "sh":
            lines = re.sub(r"(^|\s)#.*", "", block.text, flags=re.MULTILINE)
            # A quoted word may go on over lines, as the body of a request does.
            for command in re.findall(r"(?:'[^']*'|[^'\n])+", lines.replace("\\\n", " ")):
                if words := " ".join(command.split()):
                    yield words


def inline_commands(text: str) -> Iterator[str]:
    """Commands between backticks in the text, with at least one word behind the program."""
    for words in spans(text):
        if _COMMAND.match(words):
            yield words


def spans(text: str) -> Iterator[str]:
    """What stands between backticks in the text."""
    for span in re.findall(r"`([^`]+)`", _FENCED.sub("", text)):
        yield " ".join(span.replace("\\|", "|").split())


def unmarked_commands(text: str) -> list[str]:
    """Lines that look like commands in blocks that are not marked as such."""
    return [
        line
        for block in blocks(text)
        if block.kind != "sh"
        for line in block.text.splitlines()
        if _COMMAND.match(line)
    ]


def options_of(words: Sequence[str]) -> list[str]:
    """The long options among the words of a command."""
    return [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]


def split(command: str) -> list[str]:
    """The words of a command."""
    return shlex.split(command)


def is_template(command: str) -> bool:
    """Whether words of it stand for others: FILE, DIR, <date>, `...`."""
    return bool(re.search(r"\.\.\.|<\w+>|(?<![\w-])[A-Z]{3,}(?![\w-])", command))


def link(name: str, folder: Path) -> None:
    """Make a folder of the checkout stand in another one."""
    (folder / name).symlink_to(ROOT / name)
