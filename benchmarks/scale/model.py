"""The arithmetic of a prediction: from constants, machines and videos to hours and what they cost.

Every figure of a run is one draw: constants, lengths, faults and failures as they may turn out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.scale.fit import footage_seconds
from benchmarks.scale.machines import Machine, Store
from benchmarks.scale.schedule import finish_of_queue, least_seconds, outages_of_groups, shares
from wsgn.errors import UsageError
from wsgn.support.arrays import FloatArray

# How a run is spread: a shard for each machine with a worker for each core, a shard with one worker
# for each core, or one queue for all.
WORKERS, SHARDS, RAY = "workers", "shards", "ray"
FORMS = (WORKERS, SHARDS, RAY)
# Files of a video, JSON and CSV.
_FILES = 2
# More in one process were not measured (benchmarks.live_load).
CAMERAS_PER_PROCESS = 64


@dataclass(frozen=True, kw_only=True)
class Footage:
    """What videos are, beside their lengths."""

    width: int = 640
    height: int = 360
    frames_per_second: float = 25.0
    megabits_per_second: float = 1.0

    @property
    def pixels(self) -> float:
        """Of a frame."""
        return float(self.width * self.height)

    def megabytes(self, seconds: float) -> float:
        """Of a video of this length."""
        return self.megabits_per_second / 8 * seconds


@dataclass(frozen=True, kw_only=True)
class Network:
    """The engine: snippets per second of video, and its time where one is given."""

    snippets_per_second: float
    # Processor time; None takes the packaged engine's.
    snippet_seconds: float | None = None
    # Heads on features that lie in files, as they were measured.
    on_features: bool = False

    def of(self, costs: Mapping[str, float]) -> dict[str, float]:
        """The constants with this engine's."""
        own = self.snippet_seconds
        return dict(costs) | ({} if own is None else {"engine_snippet": own})


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Lengths of videos: log-normal, or drawn from real ones."""

    mean_seconds: float
    # Standard deviation of the logarithm; 0 makes all alike.
    spread: float = 0.0
    real_seconds: tuple[float, ...] = ()

    def draw(self, random: np.random.Generator, count: int) -> FloatArray:
        """Seconds of so many videos."""
        if self.real_seconds:
            return random.choice(np.array(self.real_seconds), count)
        middle = math.log(self.mean_seconds) - self.spread**2 / 2
        return np.exp(random.normal(middle, self.spread, count))


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What videos do to the process that works on them, each with its own probability."""

    crash: float = 0.0
    hang: float = 0.0
    stall_seconds: float = 600.0

    def __post_init__(self) -> None:
        if min(self.crash, self.hang) < 0 or self.crash + self.hang > 1 or self.stall_seconds < 0:
            raise UsageError("--crash and --hang are probabilities, together at most 1.")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is to be run."""

    num_videos: int
    lengths: Lengths
    footage: Footage
    network: Network
    faults: Faults = Faults()
    store: Store | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One draw of a run."""

    seconds: float
    # Of machines, each until its last work is done.
    machine_seconds: float
    # Of workers, for videos: what was lost to failures is not among it.
    video_seconds: float
    again_seconds: float
    failed_videos: int
    # How much longer than no order of jobs can be below.
    over_least: float


def video_seconds(
    costs: Mapping[str, float], seconds: FloatArray, footage: Footage, network: Network
) -> FloatArray:
    """Processor time of videos of these lengths in one process that runs already."""
    own = network.of(costs)
    rate = network.snippets_per_second
    if network.on_features:
        return own["feature_video"] + rate * own["feature_snippet"] * seconds
    second = rate * own["snippet"] + footage_seconds(
        own,
        frames_per_second=footage.frames_per_second,
        pixels=footage.pixels,
        snippets_per_second=rate,
    )
    return own["video"] + second * seconds


def run_once(
    random: np.random.Generator,
    costs: Mapping[str, float],
    machine: Machine,
    load: Workload,
    form: str,
    workers: int,
) -> Outcome:
    """One run as it may go."""
    speed = machine.speed * (1 + machine.speed_spread * random.uniform(-1, 1))
    num_machines, per_machine = -(-workers // machine.cores), min(workers, machine.cores)
    own = "ray" if form == RAY else "worker"
    alone = costs["feature_start" if load.network.on_features else "start"]
    start = (alone + costs[f"{own}_start"]) / speed
    lengths = load.lengths.draw(random, load.num_videos)
    processor = video_seconds(costs, lengths, load.footage, load.network) + costs[f"{own}_video"]
    taken = processor / speed + _waiting(costs, load, lengths, per_machine)
    taken, failed = _with_faults(random, taken, load.faults, costs["worker_start"] / speed)
    per_second = machine.failures_per_hour / 3600
    if form == RAY:
        taken, lost = _with_dead_nodes(random, taken, workers, machine, start)
        finishes = [finish_of_queue(taken, workers)]
        failed += lost
    else:
        groups = list(_groups(taken, form, workers, machine.cores))
        each = machine.cores if form == SHARDS else 1
        finishes = [
            finish_of_queue(
                share,
                group,
                outages=outages,
                restart_seconds=machine.restart_seconds + start,
                look_seconds=costs["resume_video"] / speed,
            )
            for (share, group), outages in zip(
                groups, outages_of_groups(random, len(groups), each, per_second), strict=True
            )
        ]
    # One process hands out the work of a group.
    handing = costs["parent_video"] / speed * load.num_videos / len(finishes)
    ends = [start + max(finish.seconds, handing) for finish in finishes]
    merging = 0.0 if len(ends) == 1 else costs["merge_start"] + costs["merge_video"] * len(taken)
    return Outcome(
        seconds=max(ends) + merging / speed,
        machine_seconds=_machine_seconds(ends, form, num_machines, machine.cores) + merging / speed,
        video_seconds=float(taken.sum()),
        again_seconds=sum(finish.lost_seconds for finish in finishes),
        failed_videos=failed,
        over_least=max(ends) / least_seconds(taken, workers),
    )


def _groups(
    taken: FloatArray, form: str, workers: int, cores: int
) -> Iterator[tuple[FloatArray, int]]:
    """The jobs of each shard, and its workers; a machine that is not full has fewer."""
    if form == SHARDS:
        yield from ((share, 1) for share in shares(taken, workers))
        return
    num_machines = -(-workers // cores)
    for number, share in enumerate(shares(taken, num_machines)):
        # As even as they can be: shards have the same number of jobs.
        yield share, workers // num_machines + (number < workers % num_machines)


def _waiting(
    costs: Mapping[str, float], load: Workload, lengths: FloatArray, readers: int
) -> FloatArray:
    """Wall time in which a worker computes nothing: reading, and files made safe."""
    megabyte = load.footage.megabytes(1.0)
    if load.store is None:
        second = megabyte * costs["disk_megabyte"] * readers
    else:
        second = load.store.seconds(megabyte, readers)
    return _FILES * costs["file"] + second * lengths


def _with_faults(
    random: np.random.Generator, taken: FloatArray, faults: Faults, start: float
) -> tuple[FloatArray, int]:
    """The times of videos some of which crash or hang somewhere within, and how many do."""
    luck, place = random.uniform(size=(2, len(taken)))
    crashes, hangs = luck < faults.crash, luck >= 1 - faults.hang
    fails = crashes | hangs
    found = np.where(fails, place * taken + start, taken) + hangs * faults.stall_seconds
    return found, int(fails.sum())


def _with_dead_nodes(
    random: np.random.Generator, taken: FloatArray, workers: int, machine: Machine, start: float
) -> tuple[FloatArray, int]:
    """One queue loses for good what a dead machine was at: a video for each of its workers."""
    hours = taken.sum() / workers * -(-workers // machine.cores) / 3600
    dead = random.poisson(machine.failures_per_hour * hours) * min(workers, machine.cores)
    found = taken.copy()
    lost = random.choice(len(taken), min(dead, len(taken)), replace=False)
    found[lost] = found[lost] * random.uniform(size=len(lost)) + machine.restart_seconds + start
    return found, len(lost)


def _machine_seconds(ends: Sequence[float], form: str, num_machines: int, cores: int) -> float:
    if form == RAY:
        return num_machines * ends[0]
    if form == SHARDS:
        return sum(max(ends[first : first + cores]) for first in range(0, len(ends), cores))
    return sum(ends)


@dataclass(frozen=True, kw_only=True)
class CameraOutcome:
    """One draw of many cameras."""

    # Of a core, for one camera.
    core_share: float
    machines: int
    megabytes_per_machine: float
    # Of a camera and day, while its machine is replaced.
    dark_seconds: float


def cameras_once(
    random: np.random.Generator,
    costs: Mapping[str, float],
    machine: Machine,
    count: int,
    footage: Footage,
    network: Network,
    most_load: float,
) -> CameraOutcome:
    """So many cameras on machines whose cores are used up to a share."""
    speed = machine.speed * (1 + machine.speed_spread * random.uniform(-1, 1))
    own = network.of(costs)
    second = own["camera"] + footage_seconds(
        own,
        frames_per_second=footage.frames_per_second,
        pixels=footage.pixels,
        snippets_per_second=network.snippets_per_second,
    )
    core_share = second / speed
    fitting = math.floor(machine.cores * most_load / core_share)
    if fitting < 1:
        raise UsageError(
            f"machine '{machine.name}' is too small for one camera, which takes {core_share:.1f} "
            "cores."
        )
    machines = -(-count // fitting)
    per_machine = -(-count // machines)
    processes = -(-per_machine // CAMERAS_PER_PROCESS)
    memory = processes * costs["camera_process_memory"] + per_machine * costs["camera_memory"]
    away = machine.restart_seconds + costs["start"] / speed
    return CameraOutcome(
        core_share=core_share,
        machines=machines,
        megabytes_per_machine=memory,
        dark_seconds=24 * machine.failures_per_hour * away,
    )
