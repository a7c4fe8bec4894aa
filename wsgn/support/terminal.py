"""What text becomes before a terminal sees it: nothing in it moves a cursor or turns a line round.

File names, labels and messages of libraries are written by strangers. What is unsafe is escaped as
JSON does it, so JSON stays what it is for those who read it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from wsgn.support.mirrors import with_places

# Controls (C0, DEL, C1), what is invisible or changes the direction of writing, line and paragraph
# separators, and surrogates. The joiners U+200C and U+200D are left: scripts and emoji need them.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
# A sentence shows so many names.
_MOST_NAMES = 20


def printable(text: str, *, keep: str = "") -> str:
    """The text with `\\u001b`, `\\n`, `\\u202e` for what is unsafe; `keep` holds what stays."""
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def holds_controls(name: str) -> bool:
    """Whether a name holds a control character, a line end or a surrogate, as no word does."""
    return _CONTROLS.search(name) is not None


def without_surrogates(text: str) -> str:
    """Text that is UTF-8: bytes of a file name that are no text become U+FFFD."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    # Surrogates that stand for no byte; no file has such a name.
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)


def quoted(names: Sequence[str], *, most: int = _MOST_NAMES) -> str:
    """Names for a sentence, each in quotes, and how many more there are than it shows."""
    shown = ", ".join(f"'{printable(name)}'" for name in names[:most])
    num_more = len(names) - most
    return f"{shown} and {num_more} more" if num_more > 0 else shown


def json_text(document: Any, *, indent: int | None = None) -> str:
    """JSON as UTF-8 text that a terminal may show; NaN and infinity raise `ValueError`."""
    text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
    return printable(text, keep="\n")


def print_text(text: str) -> None:
    """Write text whose lines end in \\n to stdout, if there is one; see `write_text`."""
    if sys.stdout is not None:
        write_text(text, sys.stdout)


def print_words(text: str) -> None:
    """Write text whose lines end in \\n to stderr, if there is one; see `write_text`."""
    if sys.stderr is not None:
        write_text(text, sys.stderr)


def write_text(text: str, stream: TextIO) -> None:
    """Write text whose lines end in \\n to a stream at once. Raises `OSError`.

    Letters that the stream's encoding lacks are escaped as well.
    """
    text = printable(with_places(text), keep="\n")
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = "".join(letter if _fits(letter, encoding) else _escaped(letter) for letter in text)
    stream.write(text)
    stream.flush()


def print_lines(*lines: str) -> None:
    """Write results to stdout, each with a line end."""
    print_text("".join(f"{line}\n" for line in lines))


def say_above_bars(sentence: str) -> None:
    """Write a line to stderr, above the progress bars that stand there."""
    # Without a file it would write to stdout.
    if sys.stderr is None:
        return
    from tqdm import tqdm

    tqdm.write(printable(with_places(sentence)), file=sys.stderr)


def _fits(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _escaped(letter: str) -> str:
    return json.dumps(letter)[1:-1] if letter != "\x7f" else "\\u007f"
