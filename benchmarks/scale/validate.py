"""The constants against runs that they were not fitted to: other lengths, sizes and counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np

from benchmarks.measuring import digits
from benchmarks.scale.constants import Constants
from benchmarks.scale.measure import make_heads, reference_seconds
from benchmarks.scale.model import Footage, Network, video_seconds
from benchmarks.scale.runs import Cost, Runner, make_features, make_videos, merge_cost
from benchmarks.tables import table
from benchmarks.throughput import DEMO_ENGINE, FRAME_RATE
from wsgn.engines.open import read_manifest
from wsgn.errors import InputError

# Videos of these runs: how many, of how many seconds and which size; none of it was measured.
_MEDIUM, _LARGE = (24, 6, (320, 240)), (6, 20, (640, 360))
_FILES, _SNIPPETS = 150, 120
_FILM_ENDINGS = (".mp4", ".mkv", ".mov", ".avi", ".webm")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One kind of run: processor seconds as predicted, and as measured at each repeat."""

    run: str
    predicted_seconds: float
    measured_seconds: list[float]
    wall_seconds: list[float]
    # Of the reference here and now, over that of the constants: above 1 the machine is slower.
    slowness: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted_seconds / float(np.median(self.measured_seconds))

    @property
    def ratio_by_reference(self) -> float:
        """The same for a core that is as slow as this one was meanwhile."""
        return self.ratio * self.slowness


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """A run to be held against its prediction."""

    name: str
    predicted: float
    run: Callable[[], Sequence[Cost]]


def validate(
    folder: Path, constants: Constants, repeats: int, films: Path | None, say: Callable[[str], None]
) -> list[Verdict]:
    """All kinds of runs in turn, so often as was asked for."""
    trials = _of_videos(folder, constants) + _of_features(folder, constants)
    if films is not None:
        trials.append(_of_films(films, constants))
    costs: dict[str, list[Sequence[Cost]]] = {trial.name: [] for trial in trials}
    references = []
    for repeat in range(repeats):
        for trial in trials:
            costs[trial.name].append(trial.run())
            references.append(reference_seconds())
        say(f"{repeat + 1} of {repeats} repeats")
    slowness = float(np.median(references)) / constants.medians()["reference"]
    return [
        Verdict(
            run=trial.name,
            predicted_seconds=trial.predicted,
            measured_seconds=[
                sum(cost.processor_seconds for cost in run) for run in costs[trial.name]
            ],
            wall_seconds=[sum(cost.usage.seconds for cost in run) for run in costs[trial.name]],
            slowness=slowness,
        )
        for trial in trials
    ]


def _of_videos(folder: Path, constants: Constants) -> list[_Trial]:
    took, runner = constants.medians(), Runner(engine=DEMO_ENGINE)
    network = Network(snippets_per_second=constants.snippets_per_second)
    trials = []
    for number, seconds, size in (_MEDIUM, _LARGE):
        where = make_videos(folder / f"of_{size[1]}", number, seconds, size)
        footage = Footage(width=size[0], height=size[1], frames_per_second=float(FRAME_RATE))
        videos = float(video_seconds(took, np.full(number, float(seconds)), footage, network).sum())
        name = f"{number} videos of {seconds} s, {size[0]}x{size[1]}"
        trials.append(
            _Trial(
                name=f"{name}, one process",
                predicted=took["start"] + videos,
                run=partial(_runs, runner, where),
            )
        )
    # Of the last and largest.
    for workers in (1, 2):
        trials.append(
            _Trial(
                name=f"{name}, --workers {workers}",
                predicted=took["start"]
                + workers * took["worker_start"]
                + number * took["worker_video"]
                + videos,
                run=partial(_runs, runner, where, "--workers", workers),
            )
        )
    merging = took["merge_start"] + number * took["merge_video"]
    trials.append(
        _Trial(
            name=f"{name}, two shards and merge",
            predicted=2 * took["start"] + videos + merging,
            run=lambda: _sharded(runner, where, folder / "shards"),
        )
    )
    return trials


def _runs(runner: Runner, *words: object) -> list[Cost]:
    return [runner.cost(*words)]


def _sharded(runner: Runner, where: Path, output: Path) -> list[Cost]:
    words = ("--overwrite",)
    return [
        *(runner.cost(where, "--shard", f"{n}/2", *words, output=output) for n in (1, 2)),
        merge_cost(output),
    ]


def _of_features(folder: Path, constants: Constants) -> list[_Trial]:
    took = constants.medians()
    heads = make_heads(folder)
    runner, manifest = Runner(engine=heads), read_manifest(heads)
    where = make_features(folder / "features", _FILES, _SNIPPETS, manifest)
    output = folder / "feature_results"
    each = took["feature_video"] + _SNIPPETS * took["feature_snippet"]
    shard = (where, "--shard", "1/1")
    name = f"{_FILES} feature files of {_SNIPPETS} snippets"
    return [
        _Trial(
            name=f"{name}, one process",
            predicted=took["feature_start"] + _FILES * each,
            run=lambda: [runner.cost(*shard, "--overwrite", output=output)],
        ),
        _Trial(
            name=f"{name}, --resume of what is done",
            predicted=took["feature_start"] + _FILES * took["resume_video"],
            run=lambda: [runner.cost(*shard, "--resume", output=output)],
        ),
        _Trial(
            name=f"{name}, merge",
            predicted=took["merge_start"] + _FILES * took["merge_video"],
            run=lambda: [merge_cost(output)],
        ),
    ]


def _of_films(films: Path, constants: Constants) -> _Trial:
    """All real videos of a folder that have a length and a rate, in one process."""
    took, runner = constants.medians(), Runner(engine=DEMO_ENGINE)
    network = Network(snippets_per_second=constants.snippets_per_second)
    found = {
        path: seen
        for path in sorted(films.iterdir())
        if path.suffix in _FILM_ENDINGS and (seen := _seen(path)) is not None
    }
    if not found:
        raise InputError(f"'{films}' holds no videos.")
    predicted = took["start"]
    for seconds, footage in found.values():
        predicted += float(video_seconds(took, np.array([seconds]), footage, network)[0])
    total = sum(seconds for seconds, _ in found.values())
    return _Trial(
        name=f"{len(found)} films, {total:.0f} s, one process",
        predicted=predicted,
        run=lambda: [runner.cost(*found)],
    )


def _seen(path: Path) -> tuple[float, Footage] | None:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if not container.duration or not stream.average_rate:
                return None
            return container.duration / av.time_base, Footage(
                width=stream.width,
                height=stream.height,
                frames_per_second=float(stream.average_rate),
            )
    except (av.FFmpegError, IndexError):
        return None


def verdicts_table(verdicts: Sequence[Verdict]) -> str:
    """Markdown: processor seconds, their ratio, and how many cores the run had."""
    rows: list[Sequence[object]] = []
    for verdict in verdicts:
        measured, wall = verdict.measured_seconds, verdict.wall_seconds
        bounds = f"{digits(min(measured))}-{digits(max(measured))}"
        rows.append(
            [
                verdict.run, digits(verdict.predicted_seconds), digits(float(np.median(measured))),
                bounds, f"{verdict.ratio:.2f}", f"{verdict.ratio_by_reference:.2f}",
                digits(float(np.median(wall))),
            ]
        )  # fmt: skip
    heading = ["run", "predicted s", "measured s", "least to most", "ratio",
               "ratio by the reference", "on the wall"]  # fmt: skip
    return table(heading, rows)


def as_document(verdicts: Sequence[Verdict]) -> Mapping[str, object]:
    """For programs."""
    return {
        "runs": [
            {
                "run": verdict.run,
                "predicted_seconds": verdict.predicted_seconds,
                "measured_seconds": verdict.measured_seconds,
                "wall_seconds": verdict.wall_seconds,
                "ratio": verdict.ratio,
                "ratio_by_reference": verdict.ratio_by_reference,
            }
            for verdict in verdicts
        ]
    }
