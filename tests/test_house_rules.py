"""Rules of the house that the code can be held to: where a command line is read, and lengths."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import pytest
from places import ROOT, product

# Beside the files named cli.py: what turns words into options, or options into a parser. The
# commands of export/ are files that can be run as they are.
READ_WORDS = (
    "wsgn/extraction/arguments.py",
    "wsgn/features/arguments.py",
    "wsgn/remote/arguments.py",
    "wsgn/support/parser.py",
    "wsgn/training/arguments.py",
    "wsgn/workers/arguments.py",
    "runtime/cli/clips.py",
    "runtime/cli/export.py",
    "runtime/cli/golden.py",
    "runtime/cli/merge.py",
    "runtime/cli/parser.py",
    "runtime/cli/live_options.py",
    "runtime/cli/notify_options.py",
    "runtime/cli/options.py",
    "runtime/cli/report.py",
    "runtime/cli/subcommands.py",
    "export/to_onnx.py",
    "export/to_tensorrt.py",
    "export/to_triton_server.py",
    "export/to_cubin.py",
)
# What only they may name, and the modules among them that the cli.py of several folders import.
NAMES = (
    "argparse", "ArgumentParser", "CommandParser", "Namespace", "SimpleNamespace", "parse_args",
)  # fmt: skip
SHARED = (
    "wsgn.features.arguments",
    "wsgn.remote.arguments",
    "wsgn.support.parser",
    "wsgn.workers.arguments",
)
# The only file that writes words to stdout and stderr.
TERMINAL = "wsgn/support/terminal.py"
# The only file that makes progress bars.
PROGRESS = "wsgn/support/progress.py"
LINES_OF_A_FILE = 450
LINES_OF_A_FUNCTION = 50


def reads_words(path: str) -> bool:
    return PurePosixPath(path).name == "cli.py" or path in READ_WORDS


def words_of_the_command_line(source: str) -> list[int]:
    """Lines that name what belongs to the command line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        else:
            continue
        if any(
            set(name.split(".")) & set(NAMES)
            or any(f"{name}.".startswith(f"{shared}.") for shared in SHARED)
            for name in names
        ):
            found.append(node.lineno)
    return sorted(set(found))


def namespace_beyond_the_edge(files: Mapping[str, str]) -> list[str]:
    """Places outside the command line's own files that speak of argparse."""
    return [
        f"{path}:{line}"
        for path, source in files.items()
        if not reads_words(path)
        for line in words_of_the_command_line(source)
    ]


def long_files(files: Mapping[str, str]) -> list[str]:
    """Files that are too long."""
    lengths = {path: len(source.splitlines()) for path, source in files.items()}
    return [
        f"{path}: {length} lines" for path, length in lengths.items() if length > LINES_OF_A_FILE
    ]


def long_functions(files: Mapping[str, str]) -> list[str]:
    """Functions that are too long without their docstrings; kernels may be."""
    return [
        f"{path}:{node.lineno} {node.name}: {length} lines"
        for path, source in files.items()
        for node in _functions(source)
        if (length := _length(node)) > LINES_OF_A_FUNCTION and not _is_kernel(node)
    ]


def written_past_the_terminal(files: Mapping[str, str]) -> list[str]:
    """Places that write words without what makes them safe for a terminal."""
    return [
        f"{path}:{node.lineno}"
        for path, source in files.items()
        if path != TERMINAL
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and re.fullmatch(r"print|sys\.std(out|err)\.write|tqdm\.write", ast.unparse(node.func))
    ]


def bars_of_their_own(files: Mapping[str, str]) -> list[str]:
    """Places that make a progress bar without what hides it from files and pipes."""
    return [
        f"{path}:{node.lineno}"
        for path, source in files.items()
        if path != PROGRESS
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and re.fullmatch(r"(tqdm\.)?(tqdm|trange)", ast.unparse(node.func))
    ]


def _functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is not None:
        text = node.body[0]
        length -= (text.end_lineno or text.lineno) - text.lineno + 1
    return length


def _is_kernel(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(mark).startswith("triton.jit") for mark in node.decorator_list)


def test_no_namespace_leaves_the_command_line() -> None:
    assert namespace_beyond_the_edge(product()) == []


def test_what_may_read_words_does() -> None:
    files = product()
    assert [path for path in READ_WORDS if not words_of_the_command_line(files[path])] == []


def test_words_reach_a_terminal_by_one_way() -> None:
    assert written_past_the_terminal(product()) == []
    planted = "print(name)\nsys.stderr.write(name)\ntqdm.write(name, file=sys.stderr)\n"
    assert len(written_past_the_terminal({"wsgn/a.py": planted})) == 3
    assert written_past_the_terminal({TERMINAL: planted}) == []


def test_bars_are_shown_on_terminals_only() -> None:
    assert bars_of_their_own(product()) == []
    planted = "bar = tqdm(videos)\nbar = tqdm.tqdm(total=3)\nfor one in range(3): pass\n"
    assert len(bars_of_their_own({"wsgn/a.py": planted})) == 2


def test_files_are_short_enough_to_be_read() -> None:
    assert long_files(product()) == []


def test_functions_fit_on_a_screen() -> None:
    assert long_functions(product()) == []


def test_every_command_lies_where_commands_lie() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    targets = document["project"]["scripts"]
    assert [name for name in targets if not name.startswith("wsgn-")] == []
    for name, target in targets.items():
        module, _, function = target.partition(":")
        is_runtime = name == "wsgn-run" and module == "wsgn.runtime.cli.main"
        assert is_runtime or module.endswith(".cli"), name
        assert function == "main", name


@pytest.mark.parametrize(
    "source",
    [
        "import argparse",
        "def late():\n    import argparse as a",
        "from argparse import Namespace as Parcel",
        "def run(words: Namespace) -> int: ...",
        "def run() -> types.SimpleNamespace: ...",
        "words = build_parser().parse_args([])",
        "from wsgn.features.arguments import data_options",
        "from wsgn.features import arguments",
        "from wsgn.support.parser import default_text",
        "import wsgn.features.arguments",
    ],
)
def test_a_planted_namespace_is_found(source: str) -> None:
    for path in ("wsgn/dataset.py", "runtime/pipeline.py", "export/graphs/parity.py"):
        (found,) = namespace_beyond_the_edge({path: source})
        assert found.startswith(f"{path}:")
    for path in ("wsgn/training/cli.py", "runtime/cli/parser.py"):
        assert namespace_beyond_the_edge({path: source}) == []


def test_words_about_the_command_line_are_free() -> None:
    source = '"""Thus argparse ends."""\nnamespace = 1  # not a Namespace\n'
    assert namespace_beyond_the_edge({"wsgn/support/command.py": source}) == []


def test_planted_lengths_are_found() -> None:
    body = "    x = 1\n"
    long = f"def work():\n{LINES_OF_A_FUNCTION * body}"
    assert long_functions({"wsgn/a.py": long}) == [
        f"wsgn/a.py:1 work: {LINES_OF_A_FUNCTION + 1} lines"
    ]
    assert (
        len(
            long_functions(
                {"wsgn/a.py": f"class A:\n    async {long.replace(body, ' ' * 4 + body)}"}
            )
        )
        == 1
    )
    assert long_functions({"kernels/a.py": f"@triton.jit(do_not_specialize=SIZES)\n{long}"}) == []
    documented = f'def work():\n    """A.\n\n    B.\n    """\n{(LINES_OF_A_FUNCTION - 1) * body}'
    assert long_functions({"wsgn/a.py": documented}) == []
    assert long_files({"wsgn/a.py": LINES_OF_A_FILE * "\n"}) == []
    assert len(long_files({"wsgn/a.py": (LINES_OF_A_FILE + 1) * "\n"})) == 1
