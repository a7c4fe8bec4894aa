"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.errors import OutputError
from wsgn.support.files import remove_file, size_in_words, write_whole_file


def cut_off(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every write end in the middle."""

    def write(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise error

    monkeypatch.setattr(Path, "write_bytes", write)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), MemoryError()])
def test_a_write_that_is_cut_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    cut_off(monkeypatch, error)
    with pytest.raises(type(error)):
        write_whole_file(tmp_path / "a", b"new", what="it")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_the_error_says_the_name_that_the_user_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(monkeypatch, OSError(28, "No space left on device"))
    with pytest.raises(OutputError, match=r"^it /b cannot be written: No space left on device\.$"):
        write_whole_file(tmp_path / "a", b"new", what="it", wanted=Path("/b"))
    assert not list(tmp_path.iterdir())


def test_what_a_killed_write_left_goes_with_the_file(tmp_path: Path) -> None:
    for name in ("a", "a.tmp", "b"):
        (tmp_path / name).write_bytes(b"")
    remove_file(tmp_path / "a")
    remove_file(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_small_files_have_a_size_too() -> None:
    assert [size_in_words(n) for n in (0, 4_321, 99_999, 100_000, 2_345_678)] == [
        "0.0 kB",
        "4.3 kB",
        "100.0 kB",
        "0.10 MB",
        "2.35 MB",
    ]
