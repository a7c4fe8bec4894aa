"""Names that no file can have, two writers of one folder, and a folder that goes away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import HANG_SECONDS
from layouts_on_disk import object_array_bytes, opened, python3_pickle, random_features
from leftovers import left_by_a_killed_run
from places import ROOT

from wsgn.errors import OutputError
from wsgn.features.cli import main
from wsgn.features.convert import convert_features
from wsgn.features.file import read_feature_file

TIME_BASE = ["--frame-rate", "25", "--snippet-length", "16", "--snippet-stride", "16", "-q"]
# Names of videos that no file can have, or only a longer one.
BAD_NAMES = ("x" * 245, "\u4e2d" * 90, "a/b", "..", "a\0b", "\ud800")


def write_bundle(root: Path, names: tuple[str, ...]) -> Path:
    """A bundle whose videos have these names."""
    (root / "Made-Annotations").mkdir(parents=True)
    holder = np.empty(len(names), dtype=object)
    holder[:] = names
    np.save(root / "Made-Annotations" / "videoname.npy", holder, allow_pickle=True)
    arrays = [np.full((4 + i, 8), i, dtype=np.float32) for i in range(len(names))]
    path = root / "Made-I3D.npy"
    path.write_bytes(object_array_bytes(python3_pickle(arrays, 4)))
    return path


def test_a_name_that_no_file_can_have_fails_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 243 letters and .safetensors are the 255 bytes that a name can have.
    good = ("a", "x" * 243, "\u4e2d" * 81, "with, comma", "new\nline", "e\x1b[31m")
    bundle = write_bundle(tmp_path, (*good, *BAD_NAMES))
    assert main([str(bundle), "-o", str(tmp_path / "out"), *TIME_BASE]) == 4
    assert {p.name.removesuffix(".safetensors") for p in (tmp_path / "out").iterdir()} == {*good}
    said = capsys.readouterr().err
    assert f"{len(BAD_NAMES)} of {len(good) + len(BAD_NAMES)} videos failed" in said
    assert "bug" not in said
    assert "\x1b" not in said


def test_two_conversions_into_one_folder_tear_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    random = np.random.default_rng(0)
    arrays = {f"v{n}": random.normal(size=(30, 64)).astype(np.float32) for n in range(40)}
    for name, values in arrays.items():
        np.save(source / f"{name}.npy", values)
    words = [str(source), "-o", str(tmp_path / "out"), "--overwrite", *TIME_BASE]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "wsgn.features.cli", *words],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in both:
        _, said = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 0, said
    for name, values in arrays.items():
        found = read_feature_file(tmp_path / "out" / f"{name}.safetensors")[1]
        np.testing.assert_array_equal(found, values)
    assert len(os.listdir(tmp_path / "out")) == len(arrays)  # noqa: PTH208


def test_a_folder_that_is_removed_meanwhile_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, values in random_features().items():
        np.save(tmp_path / "in" / f"{name}.npy", values)
    out, seen = tmp_path / "out", []

    def on_video(total: int) -> None:
        seen.append(total)
        if len(seen) == 2:
            shutil.rmtree(out)

    with pytest.raises(OutputError, match=r"2 of 3 files that were written are gone"):
        convert_features(opened(tmp_path / "in", "npy"), out, on_video=on_video)


def test_what_a_killed_run_left_goes_also_where_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, values in random_features().items():
        np.save(tmp_path / "in" / f"{name}.npy", values)
    out = tmp_path / "out"
    words = [str(tmp_path / "in"), "-o", str(out), *TIME_BASE]
    assert main(words) == 0
    left = left_by_a_killed_run(out / "video_a.safetensors")
    assert main(words) == 0
    assert not left.exists()
