"""pyproject.toml and constraints.txt against the tree."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from typing import Any

import pytest
from places import ROOT

FOLDERS = ("wsgn", "kernels", "export", "runtime")
# What torch brings along where its usual build is the one for GPUs.
GPU_ONLY = ("nvidia-", "cuda-")
# Small, and needing no GPU to be imported.
BINDINGS = {"cuda-bindings", "cuda-pathfinder"}
# Extras for machines with a GPU.
NOT_INSTALLED = ("tensorrt", "pycuda")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, str]:
    """Name and version of every line of constraints.txt."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [re.fullmatch(r"([a-z0-9.-]+)==([0-9.]+)(;.*)?", line) for line in lines]
    assert all(found), "only exact versions"
    return {match[1]: match[2] for match in found if match}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_of_the_tree_is_listed(project: dict[str, Any]) -> None:
    packages = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("__init__.py")
    }
    expected = {name if name.split(".")[0] == "wsgn" else f"wsgn.{name}" for name in packages}
    listed = project["tool"]["setuptools"]["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == expected


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_version_is_one(project: dict[str, Any]) -> None:
    import wsgn

    assert project["project"]["version"] == wsgn.__version__


def test_every_dependency_is_pinned(project: dict[str, Any]) -> None:
    """Of the project, of the extras that the tests install, and of whatever those need here."""
    about = project["project"]
    waiting = [*about["dependencies"], *project["build-system"]["requires"]]
    for name, extra in about["optional-dependencies"].items():
        waiting += extra if name not in NOT_INSTALLED else []
    needed: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonical(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
        if name == "wsgn" or name in needed or "extra ==" in requirement:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            # For another platform or version of Python.
            assert ";" in requirement, f"{name} is not installed: make test"
            continue
        needed.add(name)
        waiting += distribution.requires or []
    assert {name for name in needed - pins().keys() if not name.startswith(GPU_ONLY)} == set()


def test_the_pins_bring_no_cuda() -> None:
    assert {name for name in pins() if name.startswith(GPU_ONLY)} == BINDINGS
