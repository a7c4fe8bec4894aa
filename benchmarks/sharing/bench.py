"""Runs of a command in its forms: what they cost, what they write, and what they lose."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.processor_time import ProcessorTime, children, processes
from benchmarks.results import ROOT
from benchmarks.sharing.errors import SharingError
from benchmarks.sharing.subjects import Subject
from wsgn.support.command import say

sys.path.append(str(ROOT / "tests"))

from contents import contents
from planted_faults import plant_faults
from ray_nodes import TwoNodes

_STALL_SECONDS = 20
# Ends what hangs.
_LIMIT_SECONDS = 1800.0
# Python loads it in every process that finds it: what is to be killed in the middle has one.
_SLOW = """
if "SLOW" in os.environ:
    sys.addaudithook(
        lambda event, arguments: time.sleep(float(os.environ["SLOW"]))
        if event == "open" and str(arguments[0]).endswith(".mp4") else None
    )
"""


@dataclass(frozen=True, kw_only=True)
class Form:
    """How the work of a command is shared out."""

    name: str
    options: tuple[str, ...] = ()
    # One after the other; 0 where it is no shards.
    num_shards: int = 0
    # Whether it is run with a video that kills its process, and one that hangs.
    meets_faults: bool = False


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one form took for so many videos, the mean of the rounds."""

    command: str
    form: str
    videos: int
    processor_seconds: float
    wall_seconds: float


@dataclass(frozen=True, kw_only=True)
class Faulty:
    """What a form did with one video that kills its process and one that hangs."""

    command: str
    form: str
    exit_codes: tuple[int, ...]
    # Whether the files of the others are those of one process.
    same: bool


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What was lost with something that was killed in the middle."""

    command: str
    what: str
    exit_code: int
    lost: int
    # Whether another run then went on to what one process gives.
    same: bool


ONE_PROCESS = Form(name="one process")


class Bench:
    """A command with its videos, and a folder for what it writes."""

    def __init__(self, folder: Path, subject: Subject, num_videos: int) -> None:
        self._folder, self._subject, self._num_videos = folder, subject, num_videos
        # Where those of a cluster begin.
        self.cluster_processes: list[int] = []
        # What one process writes of all videos, and of one, when it has been run.
        self._wanted: dict[tuple[str, ...], dict[str, bytes]] = {}
        # Of the last command, on stderr.
        self._last_words = ""

    def costs(self, forms: Sequence[Form], num_rounds: int) -> list[Cost]:
        """Of each form for one video and for all; forms take turns, and one process is first."""
        subject = self._subject
        taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for _ in range(num_rounds):
            for form in forms:
                seconds = taken.setdefault((form.name, self._num_videos), [])
                seconds.append(self._measured(form, subject.every))
                if not form.num_shards:
                    seconds = taken.setdefault((form.name, 1), [])
                    seconds.append(self._measured(form, subject.single))
        means = {key: np.mean(values, axis=0).tolist() for key, values in taken.items()}
        return [
            Cost(
                command=subject.name, form=name, videos=count,
                processor_seconds=processor, wall_seconds=wall,
            )
            for (name, count), (processor, wall) in means.items()
        ]  # fmt: skip

    def _measured(self, form: Form, videos: tuple[str, ...]) -> tuple[float, float]:
        """Seconds of processors and on the wall of a form that does what one process does."""
        used, start = ProcessorTime(self.cluster_processes), time.monotonic()
        used.start()
        codes, found = self._results(form, videos)
        wall, processor = time.monotonic() - start, used.seconds()
        if any(codes):
            raise SharingError(
                f"{self._subject.name}, {form.name}: exit codes {codes}; {self._last_words}"
            )
        if form == ONE_PROCESS:
            self._wanted.setdefault(videos, found)
        if found != self._one_process(videos):
            raise SharingError(
                f"{self._subject.name}, {form.name}: other files than one process wrote."
            )
        self._tell(f"{form.name}: {processor:.1f} s of processors, {wall:.1f} s on the wall")
        return processor, wall

    def _tell(self, words: str) -> None:
        """A run takes long: what came of it so far."""
        say(self._subject.name, words)

    def _one_process(self, videos: tuple[str, ...]) -> dict[str, bytes]:
        if videos not in self._wanted:
            codes, self._wanted[videos] = self._results(ONE_PROCESS, videos)
            if any(codes):
                raise SharingError(
                    f"{self._subject.name} could not run the videos: {self._last_words}"
                )
        return self._wanted[videos]

    def _results(
        self, form: Form, videos: tuple[str, ...], *more: str
    ) -> tuple[list[int], dict[str, bytes]]:
        """Exit codes of a form, and the files that it has left."""
        out = self._folder / "out"
        out.mkdir()
        if form.num_shards:
            codes = self._shards(form, videos, out, more)
        else:
            codes = [self._ended(self._words(videos, *form.options, *more), out)]
        found = contents(out, _is_result)
        shutil.rmtree(out)
        return codes, found

    def _shards(
        self, form: Form, videos: tuple[str, ...], out: Path, more: tuple[str, ...]
    ) -> list[int]:
        subject = self._subject
        words = self._words(videos, *subject.of_shards, *form.options, *more)
        count = form.num_shards
        codes = [
            self._ended([*words, "--shard", f"{number}/{count}"], out)
            for number in range(1, count + 1)
        ]
        if subject.join is not None:
            codes.append(self._ended(subject.join(videos), out))
        return codes

    def _words(self, videos: tuple[str, ...], *words: str) -> list[str]:
        return [*self._subject.start, *videos, *self._subject.options, *words]

    def _environment(self) -> dict[str, str]:
        """Of commands; see `python_path`, which is set while there is a cluster."""
        return os.environ | {"PYTHONPATH": python_path(self._folder)}

    def _ended(self, words: Sequence[str], out: Path) -> int:
        """A command to its end, in the folder of its results; what it says on stdout is one."""
        said = out / "stdout"
        with said.open("wb") as file:
            done = subprocess.run(
                words, env=self._environment(), cwd=out, stdout=file,
                stderr=subprocess.PIPE, timeout=_LIMIT_SECONDS, check=False,
            )  # fmt: skip
        self._last_words = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        # Lines of a run come as its videos end, and the summary of an extraction has its folder.
        if self._subject.finished:
            said.unlink()
        return done.returncode

    def faults(self, forms: Sequence[Form]) -> list[Faulty]:
        """Of every form that meets them."""
        rows, subject = [], self._subject
        for form in forms:
            if not form.meets_faults:
                continue
            # A shard that is one process would not outlive them.
            options = (subject.workers, "1") if form.num_shards else ()
            limit = ("--stall-limit", str(_STALL_SECONDS))
            with subject.with_faults() as videos:
                codes, found = self._results(form, videos, *options, *limit)
            found, wanted = (
                {name: data for name, data in files.items() if subject.lasts(name)}
                for files in (found, self._one_process(subject.every))
            )
            self._tell(f"{form.name}, faults: exit codes {codes}, same files: {found == wanted}")
            rows.append(
                Faulty(
                    command=subject.name, form=form.name, exit_codes=tuple(codes),
                    same=found == wanted,
                )
            )  # fmt: skip
        return rows

    def kills(self, cluster: TwoNodes | None) -> list[Killed]:
        """A worker and, on a cluster, an actor and then a machine; of what is written by and by."""
        subject = self._subject
        if not subject.finished:
            return []
        rows = [self._kill("one of two workers", (subject.workers, "2"), _kill_worker)]
        if cluster is not None:
            ray = ("--ray", cluster.address, subject.workers, "2")
            rows.append(self._kill("one of two actors", ray, lambda pid: _kill_actor()))
            rows.append(self._kill("one of two nodes", ray, lambda pid: cluster.lose_second()))
            cluster.replace_second()
            self.cluster_processes = children(os.getpid())
        return rows

    def _kill(self, what: str, form: tuple[str, ...], kill: Callable[[int], None]) -> Killed:
        subject, out = self._subject, self._folder / "killed"
        out.mkdir()
        words = self._words(subject.every, *form)
        process = subprocess.Popen(
            words, env=self._environment() | {"SLOW": "0.05"}, cwd=out,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

        def num_finished() -> int:
            return len(list(out.glob(subject.finished)))

        _until(lambda: num_finished() >= self._num_videos // 4, process)
        kill(process.pid)
        code = process.wait(_LIMIT_SECONDS)
        lost = self._num_videos - num_finished()
        again = self._ended([*words, *subject.resume], out)
        same = again == 0 and contents(out, _is_result) == self._one_process(subject.every)
        shutil.rmtree(out)
        self._tell(f"{what} killed: exit code {code}, {lost} lost, then the same: {same}")
        return Killed(command=subject.name, what=what, exit_code=code, lost=lost, same=same)


def plant(folder: Path) -> None:
    """Make the faults in `folder` that all commands and actors of a bench there are to find."""
    plant_faults(folder, signal.SIGKILL, workers_only=True)
    with (folder / "sitecustomize.py").open("a") as file:
        file.write(_SLOW)


def python_path(folder: Path) -> str:
    """Where processes find those faults and this checkout."""
    return os.pathsep.join((str(folder), str(ROOT)))


def _is_result(name: str) -> bool:
    """Whether a file has a name of its own, and is none that a shard leaves for the others."""
    return not name.startswith(".") and "-of-" not in name


def _kill_worker(command: int) -> None:
    workers = [number for number, name in processes() if "spawn_main" in name]
    os.kill(min(set(workers) & set(children(command))), signal.SIGKILL)


def _kill_actor() -> None:
    actors = [number for number, name in processes() if name.startswith("ray::Actor")]
    os.kill(min(actors), signal.SIGKILL)


def _until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for it. Raises `SharingError` where the process ends before, or it does not come."""
    limit = time.monotonic() + _LIMIT_SECONDS
    while not holds():
        if process.poll() is not None or time.monotonic() > limit:
            process.kill()
            raise SharingError("a run ended before anything was killed, or got nothing done.")
        time.sleep(0.02)
