"""Weights in two files of a store: the one that is named brings the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle_writer import write_checkpoint
from object_store import ObjectStore
from published_states import i3d_tensorflow

from wsgn.weights import tensorflow_bundle
from wsgn.weights.cli import main

NAMES = ("rgb.ckpt.index", "rgb.ckpt.data-00000-of-00001")


def test_a_checkpoint_in_two_files_is_read_by_the_name_of_either(
    object_store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # 50 MB of checksums would take the plain writer a minute; blocks of the index keep theirs.
    checked = tensorflow_bundle.masked_crc32c
    monkeypatch.setattr(
        tensorflow_bundle,
        "masked_crc32c",
        lambda data: 0 if isinstance(data, memoryview) else checked(data),
    )
    write_checkpoint(tmp_path / "rgb.ckpt", i3d_tensorflow(), checksums=False)
    for name in NAMES:
        object_store.put("lake", f"tf/{name}", (tmp_path / name).read_bytes())
    assert main(["check", str(tmp_path / NAMES[0])]) == 0
    expected = capsys.readouterr().out
    for name in NAMES:
        assert main(["check", f"s3://lake/tf/{name}"]) == 0, capsys.readouterr().err
        said = expected.replace(str(tmp_path / NAMES[0]), f"s3://lake/tf/{name}")
        assert capsys.readouterr().out == said
    for source, target in ((tmp_path, tmp_path / "a"), ("s3://lake/tf", "s3://lake/b")):
        assert main(["convert", f"{source}/{NAMES[0]}", "-o", f"{target}.safetensors"]) == 0
    assert object_store.get("lake", "b.safetensors") == (tmp_path / "a.safetensors").read_bytes()


@pytest.mark.parametrize("number", [0, 1])
def test_half_a_checkpoint_is_a_sentence(
    object_store: ObjectStore, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    there, missing = NAMES[number], NAMES[1 - number]
    object_store.put("lake", f"tf/{there}", b"x")
    assert main(["check", f"s3://lake/tf/{there}"]) == 3
    assert capsys.readouterr().err == (
        f"wsgn-weights: the file s3://lake/tf/{missing} does not exist; s3://lake/tf/{there} "
        "needs it beside it.\n"
    )
