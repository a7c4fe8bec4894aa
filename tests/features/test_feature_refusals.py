"""What is no features, or damaged ones, gets a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts_on_disk import (
    WRITERS,
    Write,
    opened,
    random_features,
    write_cmcs,
    write_npy,
)

from wsgn.errors import InputError, UsageError
from wsgn.features.layouts import open_features


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda root: None, "no features of a known layout"),
        (lambda root: (write_npy(root, random_features()), write_cmcs(root, random_features())),
         "cmcs and npy"),
        (lambda root: (root / "a.safetensors").write_bytes(b"{}"), "damaged"),
        (lambda root: np.savez(root / "a-rgb.npz", other=np.zeros(3)), "it has: other"),
        (lambda root: np.savez(root / "a-rgb.npz", feature=np.zeros((3, 4))), r"\(B, T, D\)"),
        (lambda root: (root / "a-rgb.npz").write_bytes(b"PK"), "not a .npz"),
    ],
)  # fmt: skip
def test_other_folders_are_refused(tmp_path: Path, write: Write, words: str) -> None:
    write(tmp_path)

    def look() -> None:
        plain = (tmp_path / "a.safetensors").exists()
        reader = opened(tmp_path, "safetensors" if plain else "other")
        reader.info(reader.names[0])

    with pytest.raises(InputError, match=words):
        look()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(4), r"\(T, D\)"),
        (np.zeros((4, 2, 3)), r"\(T, D\)"),
        (np.zeros((0, 3)), "no features"),
        (np.zeros((4, 3), dtype=complex), "complex128"),
        (np.full((4, 3), "x"), "<U1"),
        (np.zeros((4, 3), dtype=bool), "bool"),
        (np.zeros((4, 3), dtype="datetime64[s]"), "datetime64"),
        (np.zeros((4, 3), dtype="f4,i2"), "real numbers"),
    ],
)
def test_arrays_that_are_no_features_show_in_their_headers(
    tmp_path: Path, values: np.ndarray, words: str
) -> None:
    np.save(tmp_path / "a.npy", values)
    reader = opened(tmp_path, "npy", layout="npy")
    for look in (reader.info, reader.read):
        with pytest.raises(InputError, match=words):
            look("a")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_the_first_snippet_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    values = np.zeros((6, 3))
    values[4:, 1] = value
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InputError, match="2 of 6 snippets, the first is snippet 4"):
        opened(tmp_path, "npy").read("a")


def test_a_pickle_among_the_arrays_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="pickle"):
        opened(tmp_path, "npy", layout="npy").info("a")


def test_a_cut_file_is_noticed_in_its_header(tmp_path: Path) -> None:
    write_npy(tmp_path, random_features())
    path = tmp_path / "video_b.npy"
    path.write_bytes(path.read_bytes()[:-1])
    reader = opened(tmp_path, "npy")
    reader.info("video_a")
    with pytest.raises(InputError, match="cut short"):
        reader.info("video_b")


def test_damaged_archives_give_a_sentence(tmp_path: Path) -> None:
    write_cmcs(tmp_path, random_features())
    path = tmp_path / "video_a-rgb.npz"
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    num_refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for index in random.integers(0, len(whole), size=4):
            damaged[index] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            opened(tmp_path, "cmcs").read("video_a")
        except InputError:
            num_refused += 1
    assert num_refused > 0


def test_a_video_that_is_not_there_is_named(tmp_path: Path) -> None:
    for layout, write in WRITERS.items():
        root = tmp_path / layout
        root.mkdir()
        reader = opened(write(root, random_features()), layout)
        for look in (reader.info, reader.read):
            with pytest.raises(InputError, match="'other'"):
                look("other")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "hdf5"}, "unknown"),
        ({"streams": ("rgb", "audio")}, "streams must be"),
        ({"streams": ("rgb", "rgb")}, "streams must be"),
        ({"streams": ("rgb",)}, "does not say which channels"),
    ],
)
def test_wrong_wishes_are_refused(tmp_path: Path, options: dict[str, object], words: str) -> None:
    write_npy(tmp_path, random_features())
    with pytest.raises(UsageError, match=words):
        opened(tmp_path, "npy", **options)


def test_paths_that_are_no_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not exist"):
        open_features(tmp_path / "none")
    write_npy(tmp_path, random_features())
    with pytest.raises(InputError, match="is a file"):
        opened(tmp_path / "video_a.npy", "npy", layout="npy")
    with pytest.raises(InputError, match=r"no \*.safetensors"):
        open_features(tmp_path, layout="safetensors")
