"""Cases one after another, each in a process of its own, and what of them is kept."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fuzz.case import BASES, Case, Draw, Place, Surface
from benchmarks.fuzz.child import RAN, REFUSED, Child, Ending
from benchmarks.fuzz.videos import link_demo
from wsgn.errors import UsageError

# In the folder of a case that is kept.
DOCUMENT, _FILES = "case.json", "files"


@dataclass(kw_only=True)
class Tally:
    """What became of the cases of one surface."""

    surface: str
    cases: int = 0
    ran: int = 0
    refused: int = 0
    # How often each bad ending came.
    bad: dict[str, int] = field(default_factory=dict)
    most_processor_seconds: float = 0.0
    most_megabytes: float = 0.0

    def add(self, ending: Ending) -> None:
        """Count one."""
        self.cases += 1
        self.ran += ending.verdict == RAN
        self.refused += ending.verdict == REFUSED
        if ending.is_bad:
            self.bad[ending.verdict] = self.bad.get(ending.verdict, 0) + 1
        self.most_processor_seconds = max(self.most_processor_seconds, ending.processor_seconds)
        self.most_megabytes = max(self.most_megabytes, ending.peak_megabytes)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A case that ended as none may."""

    surface: str
    number: int
    change: str
    verdict: str
    # The last that it said.
    said: str
    # Its folder, if it was kept.
    folder: str | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A case that has ended, and its folder."""

    number: int
    change: str
    ending: Ending
    place: Path


class Runner:
    """Runs cases in a folder of its own."""

    def __init__(self, surfaces: Sequence[Surface], folder: Path) -> None:
        """Make what is not damaged, and load here what every case would have to load itself."""
        self._folder = folder
        self._bases = folder / "bases"
        self._bases.mkdir()
        link_demo(self._bases)
        for surface in surfaces:
            self._require(self._start_preparing(surface).wait(), f"{surface.name}: preparing")
            ending = self._start(surface, None, "whole").wait()
            self._require(ending, f"{surface.name}: what is not damaged")
            _load(json.loads((self._place("whole") / "modules.json").read_text()))
            shutil.rmtree(self._place("whole"))
        # A collection in a child would write to, and so copy, all that it shares with this one.
        gc.collect()
        gc.freeze()

    def run(
        self, surface: Surface, numbers: Sequence[int], seed: int, jobs: int
    ) -> Iterator[Outcome]:
        """What became of each case; its folder goes when the next one is asked for."""
        waiting = list(reversed(numbers))
        running: dict[int, Child] = {}
        while waiting or running:
            while waiting and len(running) < jobs:
                number = waiting.pop()
                running[number] = self._start(surface, seed, str(number))
            ended = [(number, ending) for number in running if (ending := running[number].ended())]
            for number, ending in ended:
                del running[number]
                place = self._place(str(number))
                if not (place / DOCUMENT).is_file():
                    raise RuntimeError(f"{surface.name} {number} cannot be made: {ending.said}")
                change = json.loads((place / DOCUMENT).read_text())["change"]
                yield Outcome(number=number, change=change, ending=ending, place=place)
                shutil.rmtree(place, ignore_errors=True)
            if not ended:
                time.sleep(0.002)

    def replay(self, surface: Surface, words: Sequence[str], files: Path) -> Ending:
        """How a case ends that was kept."""
        place = self._place("again")
        place.mkdir()
        shutil.copytree(files, place / _FILES, symlinks=True)
        ending = Child(lambda: self._read(surface, words, place), place / _FILES, place).wait()
        shutil.rmtree(place)
        return ending

    def _start_preparing(self, surface: Surface) -> Child:
        def work() -> int:
            surface.prepare(self._bases)
            return 0

        return Child(work, self._bases, self._folder)

    def _start(self, surface: Surface, seed: int | None, name: str) -> Child:
        place = self._place(name)
        (place / _FILES).mkdir(parents=True)

        def make() -> Case:
            if seed is None:
                return surface.whole(self._bases)
            return surface.damaged(Draw(f"{seed} {surface.name} {name}"), self._bases)

        def work() -> int:
            case = make()
            self._write(case, place / _FILES)
            document = {
                "surface": surface.name,
                "seed": seed,
                "number": name,
                "change": case.change,
            }
            (place / DOCUMENT).write_text(json.dumps({**document, "words": list(case.words)}))
            code = self._read(surface, case.words, place)
            if seed is None:
                (place / "modules.json").write_text(json.dumps(list(sys.modules)))
            return code

        return Child(work, place / _FILES, place)

    def _read(self, surface: Surface, words: Sequence[str], place: Path) -> int:
        given = [word.replace(BASES, str(self._bases)) for word in words]
        return surface.read(Place(bases=self._bases, outputs=place), given)

    def _write(self, case: Case, folder: Path) -> None:
        for name, data in case.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for name, base in case.links.items():
            (folder / name).symlink_to(self._bases / base)

    def _place(self, name: str) -> Path:
        return self._folder / f"case-{name}"

    def _require(self, ending: Ending, what: str) -> None:
        if ending.verdict != RAN:
            raise RuntimeError(f"{what} ends as '{ending.verdict}': {ending.said}")


def keep(place: Path, target: Path, ending: Ending) -> None:
    """Keep the folder of a case with what became of it."""
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(place, target, symlinks=True)
    path = target / DOCUMENT
    document = json.loads(path.read_text()) | {"ending": asdict(ending)}
    path.write_text(json.dumps(document, indent=1))


def read_kept(path: Path) -> tuple[dict[str, Any], Path]:
    """The document of a case that was kept, and the folder of its files."""
    path = path / DOCUMENT if path.is_dir() else path
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        surface, words = document["surface"], document["words"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"'{path}' is no case that was kept: give its {DOCUMENT}.") from error
    return {"surface": surface, "words": words}, path.parent / _FILES


def _load(modules: Sequence[str]) -> None:
    for name in modules:
        # Some are no modules that can be asked for, and are not needed then.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
