"""The text of a Triton server model's `config.pbtxt`: protocol buffer text format.

The messages are plain mappings, their fields those of the server's model_config.proto. The server
and the tests read the text with that definition; writing it needs no package at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Message = Mapping[str, object]


@dataclass(frozen=True)
class Word:
    """A value of an enumeration, `KIND_GPU`, which stands without quotes."""

    text: str


def to_text(message: Message) -> str:
    """One line for each scalar and each list of scalars, a block for each message."""
    return "".join(f"{line}\n" for line in _lines(message))


def _lines(message: Message) -> list[str]:
    lines: list[str] = []
    for name, value in message.items():
        if isinstance(value, Mapping):
            lines += _block(name, value)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            if value and isinstance(value[0], Mapping):
                for item in value:
                    lines += _block(name, item)
            elif value:
                lines.append(f"{name}: [ {', '.join(map(_scalar, value))} ]")
        else:
            lines.append(f"{name}: {_scalar(value)}")
    return lines


def _block(name: str, message: Message) -> list[str]:
    return [f"{name} {{", *(f"  {line}" for line in _lines(message)), "}"]


def _scalar(value: object) -> str:
    if isinstance(value, Word):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # The escapes of JSON are among those of the text format.
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"a config holds words, truth values, integers and text, not {value!r}.")
