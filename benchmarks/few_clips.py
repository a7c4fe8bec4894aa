"""From short clips to segments in untrimmed videos: how many clips it takes, and other recordings.

    python -m benchmarks.few_clips clips.csv --features features --videos ut.json -o runs/few_clips

Trains the default preset on features of clips, with nothing but their labels. Counts: so many clips
of each class (and of background), drawn anew for each seed, all of the subset `train`; segments are
scored in the untrimmed videos of `--videos`. Folds: each part of the recordings (`group` in the
table) is left out in turn; what was trained on the others is scored on its clips, and on videos
that are joined of those, in their features.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring import mean_and_deviation
from benchmarks.results import describe_machine, publish
from benchmarks.tables import table
from benchmarks.trained_rows import TIOU
from wsgn.checkpoint import load_checkpoint
from wsgn.data.annotations import Annotations, VideoAnnotation, write_annotations
from wsgn.data.layouts import read_annotations
from wsgn.dataset import open_data
from wsgn.errors import UsageError
from wsgn.features.file import write_feature_file
from wsgn.features.layouts import open_features
from wsgn.features.options import FeatureOptions
from wsgn.features.reader import FeatureReader
from wsgn.prediction.evaluate import Evaluation, evaluate
from wsgn.presets import DEFAULT_PRESET, preset
from wsgn.support.command import run_command
from wsgn.training.options import TrainOptions
from wsgn.training.train import train

_TRAIN, _TEST = "train", "test"
# Of a joined video, by actions among them.
_CLIPS, _ACTIONS = (4, 6), (1, 3)
_SPLIT_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One training: what it was told, and what it is worth, in percent."""

    row: str
    seed: int
    # Clips trained on.
    clips: int
    # Of segments in untrimmed videos, the mean over TIOU and at each; None where none were there.
    average_map: float
    maps: tuple[float, ...]
    # Of whole clips or videos, by their labels.
    video_map: float
    accuracy: float | None
    processor_seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    """Train and score all rows, then print and write the tables."""
    return run_command("benchmarks.few_clips", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.few_clips", description="From few clips to segments in videos."
    )
    add = parser.add_argument
    add("clips", type=Path, help="annotations of clips: labels, and subset or group")
    add("--features", type=Path, required=True, metavar="DIR", help="of clips and videos alike")
    add("--videos", type=Path, metavar="JSON", help="untrimmed videos with times, subset test")
    add("--counts", type=int, nargs="*", default=[5, 10, 20, 0], help="of a class; 0: all")
    add("--folds", type=int, default=0, help="parts of the recordings; 0: none is left out")
    add("--joined", type=int, default=40, help="videos joined of the clips that were left out")
    add("--only", metavar="CLASS", help="this class, all others as background")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of draws and trainings")
    steps = preset(DEFAULT_PRESET).train.num_steps
    add("--steps", type=int, default=steps, help="(default: %(default)s)")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="trainings and the table")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    torch.set_num_threads(1)
    trial = _Trial(arguments)
    found = [*trial.by_count(), *trial.by_fold()]
    document = {"results": [asdict(one) for one in found]}
    publish(arguments.output / "table", document, as_table(found), machine)
    return 0


class _Trial:
    """Clips, videos, their features, and trainings on some of them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._clips = _of_one_class(read_annotations(arguments.clips), arguments.only)
        self._features = open_features(arguments.features)

    def by_count(self) -> Iterator[Figures]:
        """So many clips of each class, to the untrimmed videos."""
        path = self._arguments.videos
        if path is None:
            return
        videos = _of_one_class(read_annotations(path), self._arguments.only).subset(_TEST)
        for count in self._arguments.counts:
            for seed in self._arguments.seeds:
                chosen = _drawn(self._clips.subset(_TRAIN), count, seed)
                row = f"{count} of each class" if count else "all"
                yield self._figures(row, seed, chosen, self._arguments.features, videos)

    def by_fold(self) -> Iterator[Figures]:
        """Recordings left out in turn, to their clips and to videos joined of these."""
        folds, arguments = self._arguments.folds, self._arguments
        if not folds:
            return
        groups = sorted({clip.group for clip in self._clips.videos})
        if len(groups) < folds:
            raise UsageError(
                f"the clips are of {len(groups)} recordings, {folds} parts need as many: give the "
                "table a column 'group'."
            )
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(groups))
        for fold in range(folds):
            left_out = {groups[index] for index in order[fold::folds]}
            clips = self._clips.videos
            kept = [clip for clip in clips if clip.group not in left_out]
            held = [clip for clip in clips if clip.group in left_out]
            folder = arguments.output / f"joined_{fold}"
            joined = _joined(held, self._features, folder, arguments.joined, fold)
            for seed in arguments.seeds:
                yield self._figures(f"part {fold} left out", seed, kept, folder, joined, held)

    def _figures(
        self,
        row: str,
        seed: int,
        clips: Sequence[VideoAnnotation],
        features: Path,
        videos: Sequence[VideoAnnotation],
        held: Sequence[VideoAnnotation] = (),
    ) -> Figures:
        """Train on clips; segments of videos, and labels of those or of clips that were held."""
        classes = self._clips.classes
        folder = self._arguments.output / f"{row.replace(' ', '_')}_{seed}"
        path = folder / "annotations.json"
        chosen = tuple(replace(clip, subset=_TRAIN) for clip in clips)
        write_annotations(path, Annotations(classes=classes, videos=chosen))
        usual = preset(DEFAULT_PRESET)
        settings = replace(usual.train, seed=seed, num_steps=self._arguments.steps)
        start = time.process_time()
        model = train(
            TrainOptions(
                annotations=path,
                data=FeatureOptions(path=self._arguments.features),
                preset=replace(usual, train=settings),
                output=folder / "run",
                overwrite=True,
            )
        )
        seconds = time.process_time() - start
        of_videos = _evaluation(model, features, classes, videos)
        of_labels = of_videos
        if held:
            of_labels = _evaluation(model, self._arguments.features, classes, held)
        detection, level = of_videos.detection, of_labels.video_level
        assert detection is not None
        assert level is not None
        return Figures(
            row=row,
            seed=seed,
            clips=len(clips),
            average_map=float(np.mean(detection.map_percent)),
            maps=tuple(map(float, detection.map_percent)),
            video_map=level.map_percent,
            accuracy=None if np.isnan(level.accuracy_percent) else level.accuracy_percent,
            processor_seconds=seconds,
        )


def _evaluation(
    model: Path, features: Path, classes: tuple[str, ...], videos: Sequence[VideoAnnotation]
) -> Evaluation:
    tested = tuple(replace(video, subset=_TEST) for video in videos)
    annotations = Annotations(classes=classes, videos=tested)
    checkpoint = load_checkpoint(model)
    data = open_data(FeatureOptions(path=features), annotations)
    return evaluate(checkpoint, data.source(_TEST, checkpoint.model), tiou=TIOU)


def _of_one_class(annotations: Annotations, only: str | None) -> Annotations:
    """With one class alone, where it is asked for."""
    if only is None:
        return annotations
    if only not in annotations.classes:
        raise UsageError(f"there is no class '{only}'.")
    videos = tuple(
        replace(
            video,
            labels=tuple(label for label in video.labels if label == only),
            segments=tuple(one for one in video.segments if one[0] == only),
        )
        for video in annotations.videos
    )
    return Annotations(classes=(only,), videos=videos)


def _drawn(clips: Sequence[VideoAnnotation], count: int, seed: int) -> list[VideoAnnotation]:
    """So many of each class and of background; 0 takes all."""
    if not count:
        return list(clips)
    found: list[VideoAnnotation] = []
    rng = np.random.default_rng(seed)
    for members in _by_label(clips).values():
        found += [members[index] for index in rng.permutation(len(members))[:count]]
    return found


def _by_label(clips: Sequence[VideoAnnotation]) -> Mapping[str, list[VideoAnnotation]]:
    """Clips by their first label, in the order of the labels; '' has background."""
    found: dict[str, list[VideoAnnotation]] = defaultdict(list)
    for clip in sorted(clips, key=lambda one: one.labels):
        found[clip.labels[0] if clip.labels else ""].append(clip)
    return found


def _joined(
    clips: Sequence[VideoAnnotation],
    reader: FeatureReader,
    folder: Path,
    count: int,
    seed: int,
) -> list[VideoAnnotation]:
    """Videos of a few clips of one recording each, written as features, with their times."""
    rng = np.random.default_rng(seed)
    of_group: dict[str, list[VideoAnnotation]] = defaultdict(list)
    for clip in clips:
        of_group[clip.group].append(clip)
    usable = [members for members in of_group.values() if any(clip.labels for clip in members)]
    anywhere = [clip for clip in clips if not clip.labels]
    videos = []
    for number in range(count):
        members = usable[number % len(usable)]
        actions = [clip for clip in members if clip.labels]
        quiet = [clip for clip in members if not clip.labels] or anywhere
        wanted = int(rng.integers(_ACTIONS[0], _ACTIONS[1] + 1))
        chosen = [actions[index] for index in rng.permutation(len(actions))[:wanted]]
        length = int(rng.integers(_CLIPS[0], _CLIPS[1] + 1))
        if quiet:
            rest = rng.integers(0, len(quiet), length - len(chosen))
            chosen += [quiet[index] for index in rest]
        order = rng.permutation(len(chosen))
        name = f"joined_{number:04d}"
        videos.append(_write_joined(name, [chosen[index] for index in order], reader, folder))
    return videos


def _write_joined(
    name: str, clips: Sequence[VideoAnnotation], reader: FeatureReader, folder: Path
) -> VideoAnnotation:
    """Features of clips behind each other, and the times of their labels."""
    info = reader.info(clips[0].name)
    step = info.sampling.stride_seconds
    segments, parts, end = [], [], 0.0
    for clip in clips:
        parts.append(reader.read(clip.name))
        start, end = end, end + len(parts[-1]) * step
        segments += [(label, start, end) for label in clip.labels]
    write_feature_file(
        folder / f"{name}.safetensors",
        np.concatenate(parts),
        info.sampling,
        duration_seconds=end,
        streams=tuple(stream.name for stream in info.streams),
        stream_sizes=tuple(stream.size for stream in info.streams),
        source=info.source,
    )
    return VideoAnnotation(
        name=name,
        subset=_TEST,
        duration_seconds=end,
        labels=tuple(sorted({label for label, _, _ in segments})),
        segments=tuple(segments),
    )


def as_table(results: Sequence[Figures]) -> str:
    """A row for each count and part, over the seeds, and one over all parts."""
    heading = ["trained on", "clips", "average mAP", "mAP@0.5", "video mAP", "accuracy", "seconds"]
    rows: dict[str, list[Figures]] = defaultdict(list)
    for one in results:
        rows[one.row].append(one)
    parts = [one for one in results if one.row.startswith("part ")]
    if parts:
        rows["every part in turn"] = _means_of_seeds(parts)
    return table(heading, [_cells(row, members) for row, members in rows.items()])


def _means_of_seeds(parts: Sequence[Figures]) -> list[Figures]:
    """For each seed the mean over the parts."""
    found = []
    for seed in sorted({one.seed for one in parts}):
        own = [one for one in parts if one.seed == seed]
        known = [one.accuracy for one in own if one.accuracy is not None]
        mean = replace(
            own[0],
            clips=round(np.mean([one.clips for one in own])),
            average_map=float(np.mean([one.average_map for one in own])),
            maps=tuple(np.mean([one.maps for one in own], axis=0).tolist()),
            video_map=float(np.mean([one.video_map for one in own])),
            accuracy=float(np.mean(known)) if known else None,
            processor_seconds=float(np.mean([one.processor_seconds for one in own])),
        )
        found.append(mean)
    return found


def _cells(row: str, members: Sequence[Figures]) -> list[object]:
    known = [one.accuracy for one in members if one.accuracy is not None]
    return [
        row,
        f"{np.mean([one.clips for one in members]):.0f}",
        mean_and_deviation([one.average_map for one in members]),
        mean_and_deviation([one.maps[TIOU.index(0.5)] for one in members]),
        mean_and_deviation([one.video_map for one in members]),
        mean_and_deviation(known) if known else "",
        f"{np.mean([one.processor_seconds for one in members]):.1f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
