"""JSON of users: what is no object, or says two things, is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsgn.errors import EngineError, InputError, UsageError
from wsgn.support import json_input
from wsgn.support.json_input import read_object


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ("1" * 5000, "it is not JSON"),
        ("{", "it is not JSON"),
        ("[]", "it must be a JSON object"),
        ("[]", "a list stands where an object is needed"),
        ("3", "a number stands where an object is needed"),
        ('{"a": 1, "b": {"c": 1, "d": 2, "c": 1}}', "it has the key 'c' twice in one object"),
        ('{"a": {}, "b": NaN}', "it has nan where a finite number is needed, in 'b'"),
        ('{"a": [0.5, -Infinity, {"b": 2}]}', "it has -inf where a finite number .*in 'a'"),
        ('{"a": [[NaN]]}', "it holds nan where a finite number is needed"),
        ('[NaN, {"a": 1}]', "it holds nan where a finite number is needed"),
        ("\ufeff{}", "it is not JSON"),
    ],
)
def test_what_holds_no_object_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read_object(text, what="it", error=UsageError)
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).endswith(".")
    if text.startswith("\ufeff"):
        return
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as of_file:
        read_object(tmp_path / "a.json")
    assert str(of_file.value) == str(caught.value).replace("it", f"'{tmp_path / 'a.json'}'", 1)


def test_an_object_is_read_from_a_text_and_from_a_file(tmp_path: Path) -> None:
    text = '{"ä": [1, 2.5, {"b": null}], "c": {"b": "NaN"}}'
    expected = {"ä": [1, 2.5, {"b": None}], "c": {"b": "NaN"}}
    assert read_object(text) == expected
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "a.json").write_text(text, encoding=encoding)
        assert read_object(tmp_path / "a.json") == expected


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(
        InputError, match=r"^'.*a\.json' cannot be read: No such file or directory\.$"
    ):
        read_object(path)
    path.write_text("{}", encoding="utf-16")
    with pytest.raises(EngineError, match="the plan is not JSON: it cannot be read as UTF-8"):
        read_object(path, what="the plan", error=EngineError)


def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'/dev/zero' is a device where a file is needed"):
        read_object(Path("/dev/zero"))
    monkeypatch.setattr(json_input, "_MOST_BYTES", 1 << 20)
    (tmp_path / "a.json").write_bytes(bytes(2 << 20))
    with pytest.raises(InputError, match="is larger than 1 MiB"):
        read_object(tmp_path / "a.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_that_nobody_writes_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"a\.json' is a FIFO where a file is needed"):
        read_object(tmp_path / "a.json")
