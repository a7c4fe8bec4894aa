"""One run in one process, in shards, in workers and on a Ray cluster: same files, what it costs.

    python -m benchmarks.sharing --videos 200 -o benchmarks/results/sharing

The cluster has two nodes of one core, both of them this machine. Figures are seconds of all
processors together, of every process that a form starts; for Ray also of the cluster's own ones
meanwhile. Then the same with a video that kills its process and one that hangs, and with a worker,
an actor and a node that are killed in the middle.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import WSGN_RUN, digits
from benchmarks.processor_time import ProcessorTime, children, processes
from benchmarks.results import ROOT, add_output, describe_machine, publish
from benchmarks.tables import NOTHING, table
from wsgn.errors import MissingExtraError, UsageError, WsgnError
from wsgn.support.command import run_command

sys.path.append(str(ROOT / "tests"))

import planted

_FORMATS = "jsonl,json,csv"
_PARTS = ("costs", "faults", "kills")
_NUM_SHARDS = 4
_STALL_SECONDS = 10
_LIMIT_SECONDS = 900.0
# Python loads it in every process that finds it.
_FAULTS = """
import os, signal, sys, time

def at_open(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        name = os.path.basename(arguments[0])
        if name == "crash.mp4":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "hang.mp4":
            time.sleep(3600)
        if name.endswith(".mp4") and "SLOW" in os.environ:
            time.sleep(float(os.environ["SLOW"]))

sys.addaudithook(at_open)
"""


class SharingError(WsgnError):
    """A form did something else than one process."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one form took for so many videos, the mean of the rounds."""

    form: str
    videos: int
    processor_seconds: float
    wall_seconds: float


@dataclass(frozen=True, kw_only=True)
class Faulty:
    """What a form did with one video that kills its process and one that hangs."""

    form: str
    exit_codes: tuple[int, ...]
    # Whether the files of the others are those of one process.
    same: bool


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What was lost with something that was killed in the middle."""

    what: str
    exit_code: int
    lost: int
    # Whether --resume then gave what one process gives.
    same: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and compare; 1 where a form differs."""
    return run_command("benchmarks.sharing", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sharing", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--videos", type=int, default=200, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], metavar="N",
                        help="(default: 1 2 4)")  # fmt: skip
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS),
                        help="(default: all)")  # fmt: skip
    parser.add_argument("--no-ray", action="store_true", help="leave the cluster out")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.videos < _NUM_SHARDS or arguments.rounds < 1:
        raise UsageError(f"give at least {_NUM_SHARDS} --videos and 1 of --rounds.")
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="wsgn-sharing-") as name:
        bench = Bench(Path(name), arguments.videos)
        with _cluster(bench, wanted=not arguments.no_ray) as cluster:
            forms = _forms(bench, arguments.workers, cluster)
            parts = arguments.parts
            costs = bench.costs(forms, arguments.rounds) if "costs" in parts else []
            faulty = bench.faults(forms) if "faults" in parts else []
            killed = bench.kills(cluster) if "kills" in parts else []
    document = {
        "videos": arguments.videos,
        "costs": [asdict(one) for one in costs],
        "faulty": [asdict(one) for one in faulty],
        "killed": [asdict(one) for one in killed],
    }
    publish(arguments.output, document, _text(costs, faulty, killed), machine)
    num_different = sum(not one.same for one in faulty) + sum(not one.same for one in killed)
    if num_different:
        raise SharingError(f"{num_different} forms did not give what one process gives.")
    return 0


# Words of a command line behind which come those of a form, to its exit codes.
Form = Callable[[Sequence[object]], list[int]]


class Bench:
    """Videos and an engine in a folder, and runs over them."""

    def __init__(self, folder: Path, num_videos: int) -> None:
        self.folder = folder
        self.num_videos = num_videos
        # Where those of a cluster begin.
        self.cluster_processes: list[int] = []
        self._engine = planted.write_engine(folder / "planted.onnx")
        self.videos, self.single = folder / "videos", folder / "single"
        self.hook = folder / "hook"
        for made in (self.videos, self.single, self.hook):
            made.mkdir()
        for number in range(num_videos):
            self._write_video(number)
        shutil.copy(self.videos / "video_0000.mp4", self.single)
        (self.hook / "sitecustomize.py").write_text(_FAULTS)
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join((str(self.hook), str(ROOT))),
        }

    def _write_video(self, number: int) -> None:
        """Of 2 to 6 seconds; every twentieth is another one."""
        path = self.videos / f"video_{number:04}.mp4"
        if number >= 20:
            shutil.copy(self.videos / f"video_{number % 20:04}.mp4", path)
            return
        colour = ("red", "green", "blue")[number % 3]
        scenes = (("black", 0.5), (colour, 1 + number * 0.2), ("black", 0.5))
        planted.write_video(path, scenes)

    def words(self, *words: object) -> list[str]:
        """A run of one thread an engine; everything but results is left out."""
        given = ("-e", self._engine, "--threads", 1, "-q", *words)
        return [*WSGN_RUN, *map(str, given)]

    def run(self, *words: object) -> int:
        """A run to its end; its exit code."""
        return subprocess.run(
            self.words(*words), env=self.environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=_LIMIT_SECONDS, check=False,
        ).returncode  # fmt: skip

    def one_process(self, sources: Path) -> dict[str, bytes]:
        """The files that one process writes."""
        out = self.folder / f"alone-{sources.name}"
        if not out.exists() and self.run(sources, "-o", out, "-f", _FORMATS) != 0:
            raise SharingError("one process could not run the videos.")
        return contents(out)

    def costs(self, forms: dict[str, Form], num_rounds: int) -> list[Cost]:
        """Of each form for one video and for all; forms take turns."""
        taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for _ in range(num_rounds):
            for name, form in forms.items():
                taken.setdefault((name, self.num_videos), []).append(
                    self._measured(name, form, self.videos)
                )
                if "shards" not in name:
                    taken.setdefault((name, 1), []).append(self._measured(name, form, self.single))
        means = {key: np.mean(values, axis=0).tolist() for key, values in taken.items()}
        return [
            Cost(form=name, videos=count, processor_seconds=processor, wall_seconds=wall)
            for (name, count), (processor, wall) in means.items()
        ]

    def _measured(self, name: str, form: Form, sources: Path) -> tuple[float, float]:
        """Seconds of processors and on the wall of a form that does what one process does."""
        alone = self.one_process(sources)
        out = self.folder / "measured"
        time_of_processors, start = ProcessorTime(self.cluster_processes), time.monotonic()
        time_of_processors.start()
        codes = form((sources, "-o", out, "-f", _FORMATS))
        wall = time.monotonic() - start
        processor = time_of_processors.seconds()
        if any(codes):
            raise SharingError(f"{name} ended with {codes}.")
        if contents(out) != alone:
            raise SharingError(f"{name} wrote other files than one process.")
        shutil.rmtree(out)
        return processor, wall

    def faults_of(self, form: Form) -> tuple[list[int], bool]:
        """Exit codes with a crash and a hang among the videos, and whether the rest is right."""
        out = self.folder / "faulty"
        names = ("crash", "hang")
        for name in names:
            shutil.copy(self.videos / "video_0000.mp4", self.videos / f"{name}.mp4")
        try:
            codes = form(
                (self.videos, "-o", out, "-f", "jsonl,csv", "--stall-limit", _STALL_SECONDS)
            )
        finally:
            for name in names:
                (self.videos / f"{name}.mp4").unlink()
        found = contents(out)
        alone = self.one_process(self.videos)
        wanted = {name: data for name, data in alone.items() if not name.endswith(".json")}
        shutil.rmtree(out)
        return codes, found == wanted

    def faults(self, forms: dict[str, Form]) -> list[Faulty]:
        """Of every form that outlives a crash."""
        rows = []
        for name, form in forms.items():
            if name in ("one process", "workers 1", "workers 2"):
                continue
            codes, same = self.faults_of(form)
            rows.append(Faulty(form=name, exit_codes=tuple(codes), same=same))
        return rows

    def kills(self, cluster: Any) -> list[Killed]:
        """A worker and, on a cluster, an actor and then a machine."""
        rows = [self._kill("one of two workers", ("--workers", 2), _kill_worker)]
        if cluster is not None:
            ray = ("--ray", cluster.address, "--workers", 2)
            rows.append(self._kill("one of two actors", ray, lambda pid: _kill_actor()))
            rows.append(self._kill("one of two nodes", ray, lambda pid: _kill_node(cluster)))
        return rows

    def _kill(self, what: str, form: tuple[object, ...], kill: Callable[[int], None]) -> Killed:
        out = self.folder / "killed"
        command = (self.videos, "-o", out, "-f", _FORMATS, *form)
        process = subprocess.Popen(
            self.words(*command), env=self.environment | {"SLOW": "0.05"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(lambda: len(list(out.glob("*.csv"))) >= self.num_videos // 4)
        kill(process.pid)
        code = process.wait(_LIMIT_SECONDS)
        lost = self.num_videos - len(list(out.glob("video_*.csv")))
        resumed = self.run(*command, "--resume")
        same = resumed == 0 and contents(out) == self.one_process(self.videos)
        shutil.rmtree(out)
        return Killed(what=what, exit_code=code, lost=lost, same=same)


def _forms(bench: Bench, workers: Sequence[int], cluster: Any) -> dict[str, Form]:
    """By their names in the tables."""

    def shards(words: Sequence[object]) -> list[int]:
        options = ("--workers", 1) if "--stall-limit" in words else ()
        codes = [
            bench.run(*words, *options, "--shard", f"{number}/{_NUM_SHARDS}")
            for number in range(1, _NUM_SHARDS + 1)
        ]
        out = words[list(words).index("-o") + 1]
        merge = [*WSGN_RUN, "merge", str(out)]
        done = subprocess.run(merge, env=bench.environment, capture_output=True, check=False)
        for path in [*Path(str(out)).glob("detections.*-of-*")]:
            path.unlink()
        return [*codes, done.returncode]

    def plain(*options: object) -> Form:
        return lambda words: [bench.run(*words, *options)]

    forms = {"one process": plain(), f"{_NUM_SHARDS} shards": shards}
    forms |= {f"workers {number}": plain("--workers", number) for number in workers}
    if cluster is not None:
        forms["Ray, 2 nodes"] = plain("--ray", cluster.address)
    return forms


@contextmanager
def _cluster(bench: Bench, *, wanted: bool) -> Iterator[Any]:
    """Two nodes of one core on this machine; None where it is not wanted."""
    if not wanted:
        yield None
        return
    settings = {
        "PYTHONPATH": bench.environment["PYTHONPATH"],
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": os.urandom(32).hex(),
    }
    os.environ.update(settings)
    bench.environment |= settings
    try:
        from ray.cluster_utils import Cluster
    except ImportError as error:
        raise MissingExtraError("a cluster (--no-ray leaves it out)", "ray") from error
    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.second = cluster.add_node(**node)
    bench.cluster_processes = children(os.getpid())
    try:
        yield cluster
    finally:
        cluster.shutdown()


def _kill_worker(command: int) -> None:
    workers = [number for number, name in processes() if "spawn_main" in name]
    os.kill(min(set(workers) & set(children(command))), signal.SIGKILL)


def _kill_actor() -> None:
    actors = [number for number, name in processes() if name.startswith("ray::Actor")]
    os.kill(min(actors), signal.SIGKILL)


def _kill_node(cluster: Any) -> None:
    cluster.remove_node(cluster.second, allow_graceful=False)


def contents(folder: Path) -> dict[str, bytes]:
    """The files that have names of their own."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
    }


def until(holds: Callable[[], bool]) -> None:
    """Wait for it. Raises `SharingError` where it does not come."""
    limit = time.monotonic() + _LIMIT_SECONDS
    while not holds():
        if time.monotonic() > limit:
            raise SharingError("what was waited for did not come.")
        time.sleep(0.02)


def _text(costs: list[Cost], faulty: list[Faulty], killed: list[Killed]) -> str:
    words = {True: "yes", False: "NO"}
    parts = [_cost_table(costs)] if costs else []
    if faulty:
        rows = [(one.form, " ".join(map(str, one.exit_codes)), words[one.same]) for one in faulty]
        parts.append("With one video that kills its process and one that hangs.\n")
        parts.append(table(("", "exit codes", "same files of the others"), rows))
    if killed:
        heads = ("", "exit code", "videos lost", "the same after --resume")
        parts.append("Killed in the middle.\n")
        parts.append(
            table(heads, [(one.what, one.exit_code, one.lost, words[one.same]) for one in killed])
        )
    return "\n".join(parts)


def _cost_table(costs: list[Cost]) -> str:
    by_key = {(one.form, one.videos): one for one in costs}
    most = max(one.videos for one in costs)
    alone = by_key["one process", most].processor_seconds
    rows = []
    for form in dict.fromkeys(one.form for one in costs):
        whole, begun, each = by_key[form, most], NOTHING, NOTHING
        if (first := by_key.get((form, 1))) is not None:
            begun = digits(first.processor_seconds)
            spent = whole.processor_seconds - first.processor_seconds
            each = digits(1e3 * spent / (most - 1))
        share = digits(whole.processor_seconds / alone)
        wall = digits(whole.wall_seconds)
        rows.append((form, begun, digits(whole.processor_seconds), each, share, wall))
    heads = ("", "1 video", f"{most} videos", "ms a video", "against one process", "on the wall")
    return f"Seconds of all processors.\n\n{table(heads, rows)}"


if __name__ == "__main__":
    sys.exit(main())
