"""The law of imports: wsgn is the ground, its neighbours keep apart, the runtime stays lean.

No module comes back to itself by its imports, those inside functions included.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath

import pytest
from places import product

NEIGHBOURS = ("wsgn.kernels", "wsgn.export", "wsgn.runtime")
# Training loads the fused kernels in one line, by name, and plans take one of them as a plugin.
BY_NAME = {"wsgn": ("wsgn.kernels",), "wsgn.export": ("wsgn.kernels",)}
# The public face hands on names of export and runtime: it names their homes in a table, from which
# they are loaded when one is asked for, and imports them for the type checker only.
FACE = "wsgn/__init__.py"
# What stays lean. The first two of them say what is wrong with an install, before it is loaded.
FIRST = ("wsgn.runtime.cli.main", "wsgn.runtime.cli.doctor")
LIGHT = ("wsgn.runtime", "wsgn.engines", "wsgn.localization")
# Modules of these names would hide the libraries from a script of export/ that is run as a file.
HIDING = ("onnx", "tensorrt")
# What `wsgn-run` may need besides the standard library, and where it may be imported.
LEAN = {
    "wsgn": ("wsgn",),
    "numpy": ("wsgn",),
    "dacite": ("wsgn",),
    "tqdm": ("wsgn",),
    "av": ("wsgn.video", "wsgn.runtime"),
    "onnxruntime": ("wsgn.engines",),
    # Optional, and imported only where it is to run an engine.
    "openvino": ("wsgn.engines.openvino_engine",),
    # Optional, for engines on optical flow.
    "cv2": ("wsgn.video.flow",),
    # Optional, and imported only where a file of these is written or read.
    "pympi": ("wsgn.interchange.elan",),
    "opentimelineio": ("wsgn.interchange.otio",),
    # Optional, and imported only where feature files are written.
    "safetensors": ("wsgn.features.file",),
    # Optional, and imported only where a live page is served.
    "starlette": ("wsgn.runtime.serve",),
    "uvicorn": ("wsgn.runtime.serve.server",),
    "prometheus_client": ("wsgn.runtime.serve.metrics",),
    # Optional, and imported only where a broker is notified.
    "paho": ("wsgn.runtime.notify.mqtt",),
    # Optional, and imported only where a cluster is joined.
    "ray": ("wsgn.workers.ray_cluster",),
    # Optional, and imported only where labels are burnt into pictures.
    "PIL": ("wsgn.runtime.clips.labels",),
    # Optional, and imported only for files at addresses.
    "fsspec": ("wsgn.remote.store",),
    # Optional, and imported only where a GPU is asked for.
    "cuda": ("wsgn.engines.cuda.bindings_device",),
    "pycuda": ("wsgn.engines.cuda.pycuda_device",),
    "tensorrt": ("wsgn.engines.tensorrt",),
    "tensorrt_rtx": ("wsgn.engines.tensorrt",),
    "tensorrt_rtx_bindings": ("wsgn.engines.tensorrt",),
}


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import of one module, at any depth of a file."""

    # Dotted, absolute; of `from a import b` both a and a.b.
    target: str
    # The a of `from a import b`.
    origin: bool
    line: int
    # Only for the type checker: part of the layers, but nothing is loaded.
    for_types: bool
    # By importlib.import_module("...").
    by_name: bool
    # Inside a function: only when that is called.
    late: bool


def module_name(path: str) -> str:
    """`runtime/demo/__init__.py` is imported as `wsgn.runtime.demo`."""
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts if parts[0] == "wsgn" else ("wsgn", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: str, source: str) -> list[Import]:
    """Every import of a file, also those inside functions."""
    tree = ast.parse(source, path)
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    late = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.walk(node)
    }
    return [
        Import(
            target=target,
            origin=isinstance(node, ast.ImportFrom) and place == 0,
            line=node.lineno,
            for_types=id(node) in typing_only,
            by_name=isinstance(node, ast.Call),
            late=id(node) in late,
        )
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call))
        for place, target in enumerate(_targets(node, path))
    ]


def _targets(node: ast.Import | ast.ImportFrom | ast.Call, path: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module_name(str(PurePosixPath(path).parent / "__init__.py")).split(".")
            kept = package[: len(package) - node.level + 1]
            base = ".".join([*kept, base]) if base else ".".join(kept)
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    name = ast.unparse(node.func).rpartition(".")[2]
    if name not in ("import_module", "__import__") or not node.args:
        return []
    argument = node.args[0]
    known = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    return [argument.value] if known else []


def inside(module: str, package: str) -> bool:
    """Whether the module is the package or lies in it."""
    return module == package or module.startswith(package + ".")


def layer(module: str) -> str:
    """The neighbour that a module belongs to, else `wsgn`."""
    return next((name for name in NEIGHBOURS if inside(module, name)), "wsgn")


def layer_violations(files: Mapping[str, str]) -> Iterator[str]:
    """Imports of one neighbour by another, or of a neighbour by wsgn."""
    for path, source in files.items():
        own = layer(module_name(path))
        for found in imports(path, source):
            other = layer(found.target)
            allowed = (
                other in ("wsgn", own)
                or (found.by_name and other in BY_NAME.get(own, ()))
                or (found.for_types and path == FACE and other in ("wsgn.export", "wsgn.runtime"))
            )
            if not allowed:
                yield f"{path}:{found.line}: {own} imports {found.target}"


def loaded(
    files: Mapping[str, str], roots: Iterable[str], *, late: bool
) -> Iterator[tuple[str, Import]]:
    """What the modules in `roots` load, and what that loads: (path of the importer, import)."""
    modules = {module_name(path): path for path in files}
    waiting = [name for name in modules if any(inside(name, root) for root in roots)]
    reached = set(waiting)
    while waiting:
        path = modules[waiting.pop()]
        for found in imports(path, files[path]):
            if found.for_types or (found.late and not late):
                continue
            yield path, found
            # Importing a module runs the packages around it.
            parts = found.target.split(".")
            around = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
            new = (around & modules.keys()) - reached
            reached |= new
            waiting += sorted(new)


def lean_violations(files: Mapping[str, str]) -> Iterator[str]:
    """Imports, by what has to be lean or by what it reaches, of what a lean install has not."""
    for path, found in loaded(files, LIGHT, late=True):
        name, top = module_name(path), found.target.partition(".")[0]
        places = LEAN.get(top, ())
        if top not in sys.stdlib_module_names and not any(inside(name, p) for p in places):
            yield f"{path}:{found.line}: {name} has to be lean and imports {found.target}"


def first_violations(files: Mapping[str, str]) -> Iterator[str]:
    """Imports, where `wsgn-run` and its doctor start, of more than the standard library."""
    for path, found in loaded(files, FIRST, late=False):
        top = found.target.partition(".")[0]
        if top not in (*sys.stdlib_module_names, "wsgn"):
            yield f"{path}:{found.line}: imports {found.target} before it can be told what is wrong"


def hiding_violations(files: Mapping[str, str]) -> Iterator[str]:
    """Modules and folders of export/ with the name of a library."""
    for path in files:
        if path.startswith("export/") and {PurePosixPath(path).stem, *path.split("/")} & {*HIDING}:
            yield path


def circle(files: Mapping[str, str]) -> list[str]:
    """Modules that import one another in turn, the first once more at the end; [] without any."""
    modules = {module_name(path): path for path in files}
    graph = {
        name: {
            _module_of(found.target, modules)
            for found in imports(path, files[path])
            # A package may name for the type checker what it hands on late.
            if not (found.origin or (found.for_types and path.endswith("__init__.py")))
        }
        - {name, ""}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        turn: list[str] = error.args[1]
        return turn[::-1]
    return []


def _module_of(target: str, modules: Mapping[str, str]) -> str:
    """The module that a dotted name is, or is a name of; empty where that is not in the tree."""
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target


def test_the_tree_keeps_its_layers() -> None:
    assert list(layer_violations(product())) == []


def test_only_the_two_faces_hand_on_names_from_a_table() -> None:
    """A module named in a table is an import that the rule cannot see."""
    users = [path for path, source in product().items() if "late_names(" in source]
    assert users == ["wsgn/__init__.py", "wsgn/support/late_names.py", "runtime/__init__.py"]


def test_what_is_light_reaches_nothing_heavy() -> None:
    assert list(lean_violations(product())) == []


def test_wsgn_run_starts_by_the_standard_library_alone() -> None:
    assert list(first_violations(product())) == []
    assert all(f"{name.removeprefix('wsgn.').replace('.', '/')}.py" in product() for name in FIRST)


def test_export_hides_no_library() -> None:
    assert list(hiding_violations(product())) == []


def test_no_module_comes_back_to_itself() -> None:
    assert circle(product()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("wsgn/training/cli.py", "import wsgn.kernels"),
        ("wsgn/training/cli.py", "from wsgn import runtime"),
        ("wsgn/data/frames.py", "from ..export.graphs.document import exportable"),
        (
            "wsgn/training/cli.py",
            "import importlib\nimportlib.import_module('wsgn.runtime.cli.main')",
        ),
        ("wsgn/training/cli.py", "if TYPE_CHECKING:\n    from wsgn.runtime import Detector"),
        ("wsgn/__init__.py", "from wsgn.runtime import Detector"),
        ("wsgn/__init__.py", "if TYPE_CHECKING:\n    from wsgn.kernels import launch"),
        ("kernels/fused.py", "from wsgn.runtime.streaming.detector import Detector"),
        ("export/graphs/parity.py", "def check():\n    from wsgn.runtime import open_engine"),
        ("export/graphs/parity.py", "from ...kernels import fused"),
        ("runtime/cli/run.py", "from ...export import graphs"),
        ("runtime/cli/main.py", "import wsgn.kernels.fused as fused"),
    ],
)
def test_a_planted_import_across_layers_is_found(path: str, source: str) -> None:
    assert len({line.split(": ")[0] for line in layer_violations({path: source})}) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("wsgn/training/cli.py", "import importlib\nimportlib.import_module('wsgn.kernels')"),
        ("wsgn/__init__.py", "if TYPE_CHECKING:\n    from wsgn.runtime import Detector"),
        (
            "export/graphs/document.py",
            "from wsgn.model import WeakDetector\nfrom .parity import check",
        ),
        (
            "runtime/cli/run.py",
            "from ..events import Event\nimport wsgn.runtime.streaming.rules",
        ),
    ],
)
def test_an_import_inside_the_rule_passes(path: str, source: str) -> None:
    assert list(layer_violations({path: source})) == []


@pytest.mark.parametrize(
    "planted",
    [
        {"runtime/cli/main.py": "import torch"},
        {"runtime/cli/main.py": "def late():\n    from PIL import Image"},
        {"runtime/cli/main.py": "from importlib import import_module\nimport_module('onnx')"},
        {
            "runtime/cli/main.py": "from wsgn.localization.timing import f",
            "wsgn/localization/timing.py": "import torch.nn",
        },
        # Through two modules, the second one reached as a name of its package.
        {
            "runtime/cli/main.py": "from wsgn.localization.segments import Segment",
            "wsgn/localization/segments.py": "from wsgn.data import frames",
            "wsgn/data/frames.py": "import safetensors",
        },
        # Through a package that is imported only on the way to its module.
        {
            "runtime/cli/main.py": "import wsgn.data.names",
            "wsgn/data/__init__.py": "import scipy",
            "wsgn/data/names.py": "",
        },
        # What is lean in one place is not in another.
        {
            "runtime/cli/main.py": "import wsgn.localization.timing",
            "wsgn/localization/timing.py": "import av",
        },
        {
            "runtime/cli/main.py": "import wsgn.video",
            "wsgn/video/__init__.py": "import onnxruntime",
        },
        # Lean even where the runtime does not reach it.
        {"wsgn/engines/kernels/launcher.py": "import torch"},
        {"wsgn/localization/nms.py": "def late():\n    import torch"},
    ],
)
def test_a_planted_heavy_import_is_found(planted: dict[str, str]) -> None:
    assert len({line.split(": ")[0] for line in lean_violations(planted)}) == 1


@pytest.mark.parametrize(
    "planted",
    [
        {"runtime/cli/main.py": "import numpy"},
        {"runtime/cli/doctor.py": "try:\n    from tqdm import tqdm\nexcept ImportError: pass"},
        {
            "runtime/cli/main.py": "from wsgn.support.packages import load",
            "wsgn/support/__init__.py": "from .arrays import FloatArray",
            "wsgn/support/packages.py": "",
            "wsgn/support/arrays.py": "import numpy as np",
        },
    ],
)
def test_a_planted_import_at_the_start_is_found(planted: dict[str, str]) -> None:
    assert len({line.split(": ")[0] for line in first_violations(planted)}) == 1


def test_what_is_imported_when_it_is_needed_does_not_stop_the_start() -> None:
    files = {
        "runtime/cli/main.py": "import sys\nfrom wsgn.errors import UsageError\n"
        "def run():\n    from .run import run_command",
        "runtime/cli/run.py": "import numpy",
        "wsgn/errors.py": "if TYPE_CHECKING:\n    import numpy",
    }
    assert list(first_violations(files)) == []


@pytest.mark.parametrize("path", ["export/onnx/__init__.py", "export/tensorrt.py"])
def test_a_planted_name_of_a_library_is_found(path: str) -> None:
    assert list(hiding_violations({path: "", "export/to_onnx.py": ""})) == [path]


@pytest.mark.parametrize(
    "files",
    [
        {
            "runtime/cli/main.py": "import av, numpy, tqdm, dacite, sys",
            "wsgn/engines/engine.py": "import onnxruntime",
        },
        {"runtime/cli/main.py": "import wsgn.video", "wsgn/video/__init__.py": "import av"},
        {"runtime/cli/main.py": "if TYPE_CHECKING:\n    import torch"},
        {
            "runtime/cli/main.py": "import wsgn.localization.timing",
            "wsgn/localization/timing.py": "",
            "wsgn/training/cli.py": "import torch",
        },
    ],
)
def test_what_the_lean_install_holds_may_be_imported(files: dict[str, str]) -> None:
    assert list(lean_violations(files)) == []


@pytest.mark.parametrize(
    "files",
    [
        {"wsgn/a.py": "import wsgn.b", "wsgn/b.py": "from wsgn.a import name"},
        {"wsgn/a.py": "from wsgn import b", "wsgn/b.py": "def late():\n    from wsgn import a"},
        {"wsgn/a.py": "if TYPE_CHECKING:\n    from .b import B", "wsgn/b.py": "from .a import A"},
        {
            "wsgn/a.py": "from importlib import import_module\nimport_module('wsgn.b')",
            "wsgn/b.py": "import wsgn.a",
        },
        # Through a third, and through a name of a package.
        {
            "wsgn/a.py": "from wsgn.b import name",
            "wsgn/b/__init__.py": "from .c import name",
            "wsgn/b/c.py": "from ..a import other",
        },
        {
            "runtime/a/__init__.py": "from wsgn.b import name",
            "wsgn/b.py": "from importlib import import_module\nimport_module('wsgn.runtime.a')",
        },
    ],
)
def test_a_planted_circle_is_found(files: dict[str, str]) -> None:
    found = circle(files)
    assert found[0] == found[-1]
    assert set(found) == {module_name(path) for path in files}


def test_a_package_and_its_modules_are_no_circle() -> None:
    files = {
        "wsgn/a/__init__.py": "from .b import name\nif TYPE_CHECKING:\n    from .c import C",
        "wsgn/a/b.py": "from wsgn.a.d import other",
        "wsgn/a/c.py": "from wsgn.a import name\nfrom . import d",
        "wsgn/a/d.py": "import numpy",
    }
    assert circle(files) == []
