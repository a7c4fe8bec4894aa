"""Predictions with their intervals, and all that they take for granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.measuring import Spread, spread_of
from benchmarks.scale.constants import Constants
from benchmarks.scale.machines import Machine, Places
from benchmarks.scale.model import (
    CAMERAS_PER_PROCESS,
    RAY,
    SHARDS,
    WORKERS,
    CameraOutcome,
    Footage,
    Lengths,
    Network,
    Outcome,
    Workload,
    cameras_once,
    run_once,
)
from benchmarks.tables import table

_OF_VIDEOS = (
    "start", "video", "snippet", "engine_snippet", "decode_frame", "decode_pixel", "worker_start",
    "worker_video", "parent_video", "merge_start", "merge_video", "resume_video", "file",
    "disk_megabyte",
)  # fmt: skip
_OF_FEATURES = ("feature_start", "feature_video", "feature_snippet")
_OF_CAMERAS = ("camera", "camera_memory", "camera_process_memory", "start", "engine_snippet",
               "decode_frame", "decode_pixel")  # fmt: skip
_IN_WORDS = {
    WORKERS: "a shard for each machine, with a worker for each core",
    SHARDS: "a shard for each core, with --workers 1",
    RAY: "one queue for all, by Ray",
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked: every combination gets a row."""

    loads: tuple[Workload, ...]
    places: Places
    forms: tuple[str, ...]
    workers: tuple[int, ...]
    draws: int
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run of videos on one kind of machine, over all draws."""

    machine: str
    mean_seconds: float
    form: str
    workers: int
    machines: int
    hours: Spread
    machine_hours: Spread
    price: Spread
    # Of workers' time: work on videos, and work that failures undid.
    working_share: Spread
    again_share: Spread
    # How much longer than no order of videos can be below.
    over_least: Spread
    failed_videos: Spread


@dataclass(frozen=True, kw_only=True)
class CameraRow:
    """Cameras on one kind of machine, over all draws."""

    machine: str
    cameras: int
    core_percent: Spread
    machines: Spread
    gigabytes_per_machine: Spread
    price_per_hour: Spread
    dark_seconds_a_day: Spread


def predict_runs(constants: Constants, question: Question) -> list[Row]:
    """A row for each load, machine, form and number of workers."""
    constants.require(_OF_VIDEOS, "a run over videos")
    if any(load.network.on_features for load in question.loads):
        constants.require(_OF_FEATURES, "a run over features")
    return [
        _row(constants, load, machine, form, workers, question)
        for load in question.loads
        for workers in question.workers
        for machine in question.places.machine
        for form in question.forms
    ]


def _row(
    constants: Constants, load: Workload, machine: Machine, form: str, workers: int,
    question: Question,
) -> Row:  # fmt: skip
    # The same draws for all rows, so that rows differ in what they name alone.
    random = np.random.default_rng(question.seed)
    outcomes = [
        run_once(random, constants.draw(random), machine, load, form, workers)
        for _ in range(question.draws)
    ]

    def spread(figure: Any) -> Spread:
        return spread_of([figure(one) for one in outcomes])

    def worked(one: Outcome) -> float:
        return one.video_seconds / (workers * one.seconds)

    return Row(
        machine=machine.name,
        mean_seconds=load.lengths.mean_seconds,
        form=form,
        workers=workers,
        machines=-(-workers // machine.cores),
        hours=spread(lambda one: one.seconds / 3600),
        machine_hours=spread(lambda one: one.machine_seconds / 3600),
        price=spread(lambda one: one.machine_seconds / 3600 * machine.price),
        working_share=spread(worked),
        again_share=spread(lambda one: one.again_seconds / (workers * one.seconds)),
        over_least=spread(lambda one: one.over_least),
        failed_videos=spread(lambda one: one.failed_videos),
    )


def predict_cameras(
    constants: Constants, places: Places, counts: Sequence[int], footage: Footage,
    network: Network, *, most_load: float, draws: int, seed: int = 0,
) -> list[CameraRow]:  # fmt: skip
    """A row for each number of cameras and machine."""
    constants.require(_OF_CAMERAS, "a camera")
    rows = []
    for count in counts:
        for machine in places.machine:
            random = np.random.default_rng(seed)
            outcomes = [
                cameras_once(
                    random, constants.draw(random), machine, count, footage, network, most_load
                )
                for _ in range(draws)
            ]
            rows.append(_camera_row(machine, count, outcomes))
    return rows


def _camera_row(machine: Machine, count: int, outcomes: Sequence[CameraOutcome]) -> CameraRow:
    return CameraRow(
        machine=machine.name,
        cameras=count,
        core_percent=spread_of([100 * one.core_share for one in outcomes]),
        machines=spread_of([one.machines for one in outcomes]),
        gigabytes_per_machine=spread_of([one.megabytes_per_machine / 1e3 for one in outcomes]),
        price_per_hour=spread_of([one.machines * machine.price for one in outcomes]),
        dark_seconds_a_day=spread_of([one.dark_seconds for one in outcomes]),
    )


def runs_table(rows: Sequence[Row]) -> str:
    """Markdown: medians, with 10 and 90 % points."""
    return table(
        ["videos of", "workers", "machines", "form", "hours", "machine hours", "price",
         "at work on videos", "done again", "over the least", "failed"],
        [
            [f"{row.mean_seconds:g} s", f"{row.workers:,}", f"{row.machines:,} x {row.machine}",
             row.form, row.hours, row.machine_hours, row.price,
             f"{100 * row.working_share.median:.1f} %", f"{100 * row.again_share.median:.2f} %",
             f"{row.over_least.median:.2f}", f"{row.failed_videos.median:,.0f}"]
            for row in rows
        ],
    )  # fmt: skip


def cameras_table(rows: Sequence[CameraRow]) -> str:
    """Markdown: medians, with 10 and 90 % points."""
    return table(
        ["cameras", "machine", "of a core for each", "machines", "GB on each", "price an hour",
         "dark, a camera and day"],
        [
            [f"{row.cameras:,}", row.machine, f"{row.core_percent} %", _whole(row.machines),
             f"{row.gigabytes_per_machine.median:.1f}", row.price_per_hour,
             f"{row.dark_seconds_a_day.median:.0f} s"]
            for row in rows
        ],
    )  # fmt: skip


def _whole(spread: Spread) -> str:
    low, middle, high = (f"{one:,.0f}" for one in (spread.low, spread.median, spread.high))
    return f"{middle} ({low}-{high})"


def assumptions_of_runs(constants: Constants, question: Question) -> list[str]:
    """Sentences, all that the rows take for granted."""
    load = question.loads[0]
    faults = load.faults
    return [
        *_common(constants, question.places, load.footage, load.network),
        _store_in_words(question.places),
        *_ray_in_words(constants, question),
        *(f"{form}: {_IN_WORDS[form]}." for form in question.forms),
        _lengths_in_words(load.lengths),
        f"JSON and CSV are written for each video; {faults.crash:g} of all videos kill their "
        f"process and {faults.hang:g} hang until --stall-limit {faults.stall_seconds:g}: they fail "
        "and are not tried again.",
        "A machine fails at random, as often as its line says. Its shards start again with "
        "--resume, look at what is done, and lose what their workers were at.",
        "A machine is paid until its last work is done, and one of them for merging.",
    ]


def assumptions_of_cameras(
    constants: Constants, places: Places, footage: Footage, network: Network, most_load: float
) -> list[str]:
    """Sentences, all that the rows take for granted."""
    return [
        *_common(constants, places, footage, network),
        f"Cores are used up to {100 * most_load:g} %. A process has {CAMERAS_PER_PROCESS} cameras "
        "at most, as were measured; memory is that of cameras of 320 x 240, and pictures held for "
        "larger ones come on top.",
        "A camera is dark while its machine is replaced and its process starts; until a camera "
        "answers again comes on top.",
    ]


def _common(constants: Constants, places: Places, footage: Footage, network: Network) -> list[str]:
    own = network.snippet_seconds
    engine = "the packaged engine" if own is None else f"an engine of {1e3 * own:g} ms a snippet"
    what = (
        f"Videos are of {footage.width} x {footage.height} at {footage.frames_per_second:g} frames "
        f"and {footage.megabits_per_second:g} Mbit a second, for {engine} at "
        f"{network.snippets_per_second:g} snippets a second, on one thread."
    )
    if network.on_features:
        what = (
            "Features of 1,024 numbers lie in files, for small heads that find about a segment "
            f"each two seconds, at {network.snippets_per_second:g} snippets and "
            f"{footage.megabits_per_second:g} Mbit a second, on one thread."
        )
    return [
        f"Constants: {constants}; made H.264 at 25 frames a second. In brackets lie 10 and 90 % "
        "of the draws: constants over their spread, lengths, faults, failures, speeds.",
        what,
        "Each worker has a core of its own, as fast as its machine's line says beside the one that "
        "was measured. That many cores do not slow one another was not measured on more than 2.",
        *(_machine_in_words(machine) for machine in places.machine),
    ]


def _store_in_words(places: Places) -> str:
    store = places.store
    if store is None:
        return "Videos are on a disk of each machine, read as fast as the one that was measured."
    return (
        f"Videos come from a store, {store.request_megabytes:g} MB a request, each after "
        f"{store.request_milliseconds:g} ms; a machine's {store.megabytes_per_second:g} MB/s are "
        "shared by its workers, and nothing is computed meanwhile."
    )


def _ray_in_words(constants: Constants, question: Question) -> list[str]:
    if RAY not in question.forms:
        return []
    start, video = (constants.constants[name] for name in ("ray_start", "ray_video"))
    return [
        f"Ray starts in {start.median:g} s and takes {video.median:g} s more for a video, as you "
        "have put it. A machine that fails loses for good what its actors were at.",
    ]


def _machine_in_words(machine: Machine) -> str:
    fails = (
        f"fails {machine.failures_per_hour:g} times an hour and is back "
        f"{machine.restart_seconds:g} s later"
        if machine.failures_per_hour
        else "does not fail"
    )
    return (
        f"{machine.name}: speed {machine.speed:g} (within {100 * machine.speed_spread:g} %), "
        f"{machine.price:g} an hour as you have put it, {fails}."
    )


def _lengths_in_words(lengths: Lengths) -> str:
    if lengths.real_seconds:
        return (
            f"Lengths are drawn from {len(lengths.real_seconds)} real ones, of "
            f"{lengths.mean_seconds:.0f} s in the mean."
        )
    return (
        f"Lengths are log-normal about their mean, with a spread of {lengths.spread:g} "
        "(THUMOS14's is 0.88)."
    )


def as_document(
    rows: Sequence[Row] | Sequence[CameraRow], sentences: Sequence[str]
) -> dict[str, Any]:
    """For programs."""
    return {"rows": [asdict(row) for row in rows], "assumptions": list(sentences)}
