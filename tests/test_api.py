"""The public face: what `import wsgn` loads, what it hands on, and docs/api.md about it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import Block, blocks, read_page, spans
from places import ROOT
from readers_folder import MAKERS

import wsgn
from wsgn import errors
from wsgn.support.late_names import late_names

# Which take long to load, or may be missing or damaged.
HEAVY = ("numpy", "torch", "onnxruntime", "av", "onnx", "safetensors", "dacite", "tqdm")
# A dozen of its own and `typing`; NumPy would bring over a hundred.
MOST_MODULES = 40
PAGE = "docs/api.md"
WIDTH = 96
ERRORS = [name for name in wsgn.__all__ if name.endswith("Error")]
OTHERS = [name for name in wsgn.__all__ if name not in ERRORS]


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_importing_loads_nothing_heavy() -> None:
    loaded = json.loads(
        run(
            "import sys, json; before = {*sys.modules}\n"
            "import wsgn; print(json.dumps(sorted({*sys.modules} - before)))"
        )
    )
    assert [name for name in HEAVY if name in loaded] == []
    assert len(loaded) <= MOST_MODULES
    others = {name.partition(".")[0] for name in loaded} - {"wsgn"}
    assert others <= sys.stdlib_module_names


def processor_seconds(code: str) -> float:
    """The least of five runs of a fresh interpreter."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def once() -> float:
        before = spent()
        run(code)
        return spent() - before

    return min(once() for _ in range(5))


def test_importing_costs_about_as_much_as_starting_python() -> None:
    assert processor_seconds("import wsgn") < 3 * processor_seconds("pass")


def test_every_public_name_is_there_and_listed() -> None:
    assert wsgn.__all__ == sorted(wsgn.__all__)
    assert set(wsgn.__all__) <= set(dir(wsgn))
    for name in wsgn.__all__:
        assert getattr(wsgn, name).__name__ == name


def handed_on(path: str) -> Iterator[tuple[str, str]]:
    """Homes and names as the type checker and the editor see them."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for found in node.body:
                assert isinstance(found, ast.ImportFrom)
                home = f"wsgn.runtime.{found.module}" if found.level else found.module
                yield from ((str(home), alias.name) for alias in found.names)


@pytest.mark.parametrize("path", ["wsgn/__init__.py", "runtime/__init__.py"])
def test_the_type_checker_sees_what_python_loads(path: str) -> None:
    code = "import wsgn.runtime as face" if path.startswith("runtime") else "import wsgn as face"
    table = json.loads(run(f"import json\n{code}\nprint(json.dumps(face._HOMES))"))
    at_run_time = {(home, name) for home, names in table.items() for name in names}
    assert set(handed_on(path)) == at_run_time


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'wsgn' has no attribute 'nothing'"):
        wsgn.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_name_without_its_extra_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a lean install, which has no torch."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "wsgn.checkpoint", raising=False)
    get, _ = late_names("wsgn", {"wsgn.checkpoint": ("load_checkpoint",)})
    with pytest.raises(ImportError, match=r"wsgn\.load_checkpoint needs .*wsgn\[train\]"):
        get("load_checkpoint")


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"(\w+Error)(?: \((\w+)\))? +(\d) ", errors.__doc__ or "")
    assert drawn == errors_of_the_code()


def errors_of_the_code() -> list[tuple[str, str, str]]:
    """Name, built-in base and exit code of each, in the order of the file."""
    found = [value for value in vars(errors).values() if inspect.isclass(value)]
    assert sorted(value.__name__ for value in found) == ERRORS
    assert all(issubclass(value, errors.WsgnError) for value in found)
    return [
        (value.__name__, "".join(b.__name__ for b in value.__bases__[1:]), str(value.exit_code))
        for value in found
    ]


def signature(name: str) -> str:
    """As the page has it: defaults that have no short form are `...`; fields keep their remarks."""
    value = getattr(wsgn, name)
    found = inspect.signature(value)
    parts: list[str] = []
    said = remarks(value) if dataclasses.is_dataclass(value) else {}
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = repr(parameter.default)
        default = "..." if default.startswith("<") else default
        given = "" if parameter.default is parameter.empty else f" = {default}"
        parts += said.get(parameter.name, [])
        parts.append(f"{parameter.name}: {parameter.annotation}{given}")
    result = "" if inspect.isclass(value) else f" -> {found.return_annotation}"
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= WIDTH and "#" not in line:
        return line
    lines = [f"    {part}" if part.startswith("#") else f"    {part}," for part in parts]
    return "\n".join([f"{name}(", *lines, f"){result}"])


def remarks(value: type) -> dict[str, list[str]]:
    """The comment lines above each field in the code."""
    found: dict[str, list[str]] = {}
    above: list[str] = []
    for line in map(str.strip, inspect.getsource(value).splitlines()):
        field = re.match(r"(\w+): ", line)
        if line.startswith("#"):
            above.append(line)
        elif field and field[1] in value.__dataclass_fields__:
            found.setdefault(field[1], above)
            above = []
        else:
            above = []
    return found


def sections(text: str) -> dict[str, list[Block]]:
    """Blocks by the heading of the third level that they stand under."""
    parts = re.split(r"^#{2,3} (.*)$", text, flags=re.MULTILINE)
    return {name: blocks(body) for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def missing(text: str) -> list[str]:
    """Public names without a section of their own, and sections without a public name."""
    headings = re.findall(r"^### (.*)$", text, re.MULTILINE)
    return sorted(set(headings) ^ set(OTHERS))


def test_the_page_has_every_public_name_and_no_other() -> None:
    text = read_page(PAGE)
    assert missing(text) == []
    # The table at its head, and that of errors at its end.
    named = {span for span in spans(text) if span.isidentifier()}
    assert set(wsgn.__all__) - named == set()
    rows = re.findall(r"^\| `(\w+Error)` \| `?(\w*)`? ?\| (\d) \|", text, re.MULTILINE)
    assert rows == errors_of_the_code()


@pytest.mark.parametrize("name", OTHERS)
def test_the_page_has_the_signature_of_the_code(name: str) -> None:
    first = sections(read_page(PAGE))[name][0]
    assert (first.kind, first.text.strip()) == ("python signature", signature(name))


def test_a_name_without_a_section_is_found() -> None:
    text = read_page(PAGE)
    assert missing(text.replace("### train\n", "")) == ["train"]
    assert missing(text + "### predict\n") == ["predict"]


def test_every_public_name_is_in_an_example() -> None:
    examples = "".join(block.text for block in blocks(read_page(PAGE)) if block.kind == "python")
    used = set(re.findall(r"wsgn\.(\w+)", examples))
    assert set(OTHERS) - used == set()


FUNCTIONS = [name for name in OTHERS if inspect.isfunction(getattr(wsgn, name))]
# Whatever it is given was checked before.
RAISES_NOTHING = {"find_segments"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_docstring_of_a_function_names_its_arguments_and_errors(name: str) -> None:
    words = inspect.getdoc(getattr(wsgn, name)) or ""
    assert ("\n\nRaises:\n" in words) == (name not in RAISES_NOTHING)
    for parameter in inspect.signature(getattr(wsgn, name)).parameters:
        assert re.search(rf"^ +(\w+, )*{parameter}[,:]", words, re.MULTILINE), parameter


def test_the_examples_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("synthetic", "features"):
        MAKERS[name](tmp_path / name)
    names: dict[str, object] = {}
    for block in blocks(read_page(PAGE)):
        if block.kind == "python":
            code = "\n" * (block.line - 1) + block.text
            exec(compile(code, str(ROOT / PAGE), "exec"), names)
    said = capsys.readouterr().out
    assert "the checkpoint nothing.safetensors does not exist." in said
    assert {path.name for path in tmp_path.iterdir()} >= {"runs", "model.safetensors", "wsgn.onnx"}
