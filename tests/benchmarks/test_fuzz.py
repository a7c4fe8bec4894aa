"""The fuzz target finds what is planted, keeps it, and runs it again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.fuzz import child, cli, surfaces
from benchmarks.fuzz.case import Case, Draw, NotFiniteError, Place, SilentlyWrongError, Surface
from benchmarks.fuzz.child import Child
from benchmarks.fuzz.surfaces import SURFACES, numbers_of_cases
from wsgn.errors import InputError
from wsgn.support.command import run_command


def fails(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


def says_traceback() -> int:
    os.write(2, b"Traceback (most recent call last):\n")
    return 0


def dies() -> int:
    # LLVM takes it in processes in which Triton has compiled something.
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGUSR1)
    return 0


def spins() -> int:
    while True:
        pass


ENDINGS: dict[str, tuple[Callable[[], int], str]] = {
    "well": (lambda: 0, child.RAN),
    "some videos failed": (lambda: 4, child.RAN),
    "refused": (lambda: 3, child.REFUSED),
    "refused by a function": (fails(InputError("no.")), child.REFUSED),
    "bug": (lambda: run_command("x", fails(KeyError("x"))), child.BUG),
    "traceback": (fails(KeyError("x")), child.TRACEBACK),
    "traceback of a thread": (says_traceback, child.TRACEBACK),
    "not finite": (fails(NotFiniteError("nan")), child.NOT_FINITE),
    "wrong": (fails(SilentlyWrongError("other")), child.WRONG),
    "signal": (dies, "SIGUSR1"),
    "hang": (spins, child.HANG),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_every_ending_has_its_verdict(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "LIMIT_SECONDS", 1)
    work, verdict = ENDINGS[name]
    ending = Child(work, tmp_path, tmp_path).wait()
    assert ending.verdict == verdict, ending.said
    assert ending.is_bad == (verdict not in (child.RAN, child.REFUSED))


def test_waiting_for_ever_is_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "LIMIT_SECONDS", 1)

    def waits() -> int:
        time.sleep(3600)
        return 0

    assert Child(waits, tmp_path, tmp_path).wait().verdict == child.HANG


def test_memory_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_MEMORY_BYTES", 1000)
    assert Child(lambda: 0, tmp_path, tmp_path).wait().verdict == child.MEMORY


def number_of(bases: Path) -> Case:
    return Case(files={"number.txt": b"1"}, words=("number.txt", "{bases}"))


def some_number(draw: Draw, bases: Path) -> Case:
    number = draw.randrange(10)
    data = str(number).encode()
    return Case(files={"a/number.txt": data}, words=("a/number.txt", "{bases}"), change=str(number))


def read_small_numbers(place: Place, words: Sequence[str]) -> int:
    assert Path(words[1]).is_dir()
    number = int(Path(words[0]).read_text())
    if number > 6:
        raise SilentlyWrongError(f"{number} is large")
    return 0 if number < 4 else 3


PLANTED = Surface(
    name="Planted numbers", share=1, whole=number_of, damaged=some_number, read=read_small_numbers
)


def test_what_is_planted_is_found_kept_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(surfaces, "SURFACES", {PLANTED.name: PLANTED})
    stem = tmp_path / "out"
    assert cli.main(["--cases", "30", "--jobs", "3", "-o", str(stem)]) == 1
    document = json.loads(stem.with_suffix(".json").read_text())
    wanted = [int(some_number(Draw(f"0 {PLANTED.name} {n}"), stem).change) for n in range(30)]
    (row,) = document["surfaces"]
    assert row["ran"] == sum(number < 4 for number in wanted)
    assert row["refused"] == sum(4 <= number < 7 for number in wanted)
    assert row["bad"] == {child.WRONG: sum(number > 6 for number in wanted)}
    assert "silently wrong" in stem.with_suffix(".md").read_text()
    found = {one["number"]: int(one["change"]) for one in document["found"]}
    assert found == {n: number for n, number in enumerate(wanted) if number > 6}
    kept = sorted(path.name for path in stem.iterdir())
    assert kept == sorted(f"planted-numbers-{number}" for number in found)
    capsys.readouterr()
    case = stem / kept[0]
    assert cli.main(["--replay", str(case / "case.json")]) == 1
    assert capsys.readouterr().out.startswith("silently wrong\n")
    # Mended.
    (case / "files" / "a" / "number.txt").write_text("2")
    assert cli.main(["--replay", str(case)]) == 0
    assert capsys.readouterr().out == "ran\n"


@pytest.mark.parametrize("total", [1, 22, 100, 500, 20_000])
def test_shares_make_up_the_total(total: int) -> None:
    every = list(SURFACES.values())
    counts = numbers_of_cases(every, total)
    assert min(counts.values()) >= 1
    assert sum(counts.values()) == max(total, len(every))
    assert numbers_of_cases(every[:1], total) == {every[0].name: total}
