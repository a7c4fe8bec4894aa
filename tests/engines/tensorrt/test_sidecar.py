"""Sidecars that cannot be used, in one sentence each, and where they are looked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_plans import edit_sidecar, feature_manifest, write_plan

from wsgn.engines.tensorrt.sidecar import read_sidecar, sidecar_path
from wsgn.errors import EngineError


def deep_sidecar(path: Path) -> None:
    sidecar_path(path).write_text("[" * 100_000)


def huge_number(path: Path) -> None:
    sidecar_path(path).write_text("1" * 5000)


def pipe_as_sidecar(path: Path) -> None:
    sidecar_path(path).unlink()
    os.mkfifo(sidecar_path(path))


def directory_as_sidecar(path: Path) -> None:
    sidecar_path(path).unlink()
    sidecar_path(path).mkdir()


def sidecar_of_another_format(path: Path) -> None:
    edit_sidecar(path, lambda document: document.update(format_version=2, something=1))


def text_as_flags(path: Path) -> None:
    edit_sidecar(path, lambda document: document.update(flags="tf32"))


def number_among_flags(path: Path) -> None:
    edit_sidecar(path, lambda document: document.update(flags=["tf32", 3]))


def text_in_shape(path: Path) -> None:
    def change(document: Any) -> None:
        document["profiles"][0]["inputs"]["features"]["minimum"] = [1, "five"]

    edit_sidecar(path, change)


def shape_of(*sizes: object) -> Callable[[Path], None]:
    def change(document: Any) -> None:
        for end in ("optimum", "maximum"):
            document["profiles"][0]["inputs"]["features"][end] = list(sizes)

    return lambda path: edit_sidecar(path, change)


BROKEN = [
    (shape_of(10**400, 5), "must be a list of whole numbers|a whole number under 2"),
    (shape_of(1 << 31, 5), r"< 2\^31 in every dimension"),
    (shape_of(-1, 5), r"needs 1 <= minimum"),
    (deep_sidecar, "it is nested too deeply"),
    (huge_number, "it is not JSON"),
    (pipe_as_sidecar, "is no regular file: copy it again"),
    (directory_as_sidecar, "is no regular file"),
    (sidecar_of_another_format, r"version 2, which .* \(this one reads 1\)\. Build the plan again"),
    (text_as_flags, r"'flags' must be a list of texts, got \"tf32\""),
    (number_among_flags, r"'flags' must be a list of texts, got \[\"tf32\", 3\]"),
    (text_in_shape, r"inputs.minimum' must be a list of whole numbers, got \[1, \"five\"\]"),
]


@pytest.mark.parametrize(
    ("breaks", "words"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_what_is_wrong_is_said_once(
    tmp_path: Path, breaks: Callable[[Path], None], words: str
) -> None:
    path = write_plan(tmp_path / "wsgn.plan")
    breaks(path)
    with pytest.raises(EngineError, match=words) as caught:
        read_sidecar(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert said.lower().count("build the plan") == 1


def test_hexadecimal_digits_may_be_upper_case(tmp_path: Path) -> None:
    path = write_plan(tmp_path / "wsgn.plan")
    edit_sidecar(
        path, lambda document: document.update(plan_sha256=document["plan_sha256"].upper())
    )
    assert read_sidecar(path).plan_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_link_takes_the_sidecar_beside_it_or_beside_its_plan(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = write_plan(tmp_path / "real" / "wsgn.plan")
    link = tmp_path / "current.plan"
    link.symlink_to(real)
    assert read_sidecar(link).manifest == feature_manifest()
    sidecar_path(link).write_text("none")
    with pytest.raises(EngineError, match=r"'.*current\.plan\.json' .* is not JSON"):
        read_sidecar(link)
    sidecar_path(link).unlink()
    sidecar_path(real).unlink()
    with pytest.raises(EngineError, match=r"has no sidecar 'current\.plan\.json'"):
        read_sidecar(link)


def test_a_sidecar_that_may_not_be_read_is_a_matter_of_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_plan(tmp_path / "wsgn.plan")

    # Modes do not keep an administrator out.
    def refused(self: Path, **options: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(EngineError, match=r"plan\.json' .* \(Permission denied\): check its perm"):
        read_sidecar(path)
