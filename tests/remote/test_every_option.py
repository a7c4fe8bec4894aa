"""Every option of every command, given an address: taken or refused, never a path `s3:/...`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from object_store import ObjectStore

from wsgn.errors import UsageError, WsgnError
from wsgn.runtime.cli.subcommands import SUBCOMMANDS
from wsgn.support.mirrors import closed_mirrors
from wsgn.support.parser import CommandParser

ADDRESS = "s3://nowhere/x"
COMMANDS: dict[str, tuple[str, ...]] = {
    "wsgn.runtime.cli.main": ("", *SUBCOMMANDS),
    **{
        f"wsgn.{name}": ("",)
        for name in (
            *("extraction.cli", "features.cli", "learning.cli", "metrics.cli", "prediction.cli"),
            *("synthetic.cli", "training.cli", "weights.cli"),
            *("export.to_cubin", "export.to_onnx", "export.to_tensorrt", "export.to_triton_server"),
        )
    },
}
# Words that are no paths, or that take addresses where they are read; the latter are run below.
WORDS = {
    *("--annotations-frame-rate", "--device", "--format", "--group-by", "--input-rate", "--labels"),
    *("--layout", "--media-prefix", "--notify", "--onnx-output", "--ray", "--serve", "--shard"),
    *("--source-name", "--source-options", "--streams", "--subset", "--test", "--as", "--name"),
    *("--actions", "--components", "--start", "--end", "--targets", "--validate", "name"),
}
READ_IN_PLACE = {"sources", "videos", "engine", "--engine", "--features", "source"}


def parsers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, CommandParser]]:
    """Each parser of each command by the words that lead to it."""
    met: list[CommandParser] = []

    def note(parser: CommandParser, *words: Any) -> None:
        met.append(parser)
        raise UsageError("no more than its parser is wanted.")

    monkeypatch.setattr(CommandParser, "parse_args", note)
    for module, kinds in COMMANDS.items():
        main: Callable[[list[str]], int] = import_module(module).main
        for kind in kinds:
            met.clear()
            assert main([kind] if kind else []) == 2
            yield from _with_kinds(f"{module} {kind}".strip(), met[0])


def _with_kinds(name: str, parser: CommandParser) -> Iterator[tuple[str, CommandParser]]:
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for kind, inner in action.choices.items():
                yield from _with_kinds(f"{name} {kind}", inner)


def test_no_option_takes_an_address_for_a_path(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, parser in parsers(monkeypatch):
        for action in parser._actions:
            if (
                action.nargs == 0
                or action.choices
                or isinstance(action, argparse._SubParsersAction)
            ):
                continue
            known = (action.option_strings or [action.dest])[-1]
            where = f"{name}: {known}"
            value: object = ADDRESS
            try:
                with closed_mirrors():
                    value = (action.type or str)(ADDRESS)
                    if isinstance(value, Path):
                        assert value.is_absolute(), where
            except (argparse.ArgumentTypeError, ValueError, WsgnError):
                continue
            if value == ADDRESS:
                assert known in WORDS | READ_IN_PLACE, where
    assert not list(tmp_path.glob("s3*"))
    # Of everything that is only a copy away the store was asked.
    assert len(object_store.asked("HEAD")) > 20
