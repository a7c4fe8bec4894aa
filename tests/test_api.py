"""The public face: what `import wsgn` loads, and what it hands on."""

from __future__ import annotations

import ast
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest
from places import ROOT

import wsgn
from wsgn import errors
from wsgn.support.late_names import late_names

# Which take long to load, or may be missing or damaged.
HEAVY = ("numpy", "torch", "onnxruntime", "av", "onnx", "safetensors", "dacite", "tqdm")
# A dozen of its own and `typing`; NumPy would bring over a hundred.
MOST_MODULES = 40


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
    classes = {name: getattr(wsgn, name) for name in wsgn.__all__ if name.endswith("Error")}
    assert sorted(name for name, _, _ in drawn) == sorted(classes)
    for name, builtin, code in drawn:
        assert classes[name].exit_code == int(code)
        bases = [base.__name__ for base in classes[name].__bases__]
        above = "Exception" if name == "WsgnError" else "WsgnError"
        assert bases == [above, *([builtin] if builtin else [])]
