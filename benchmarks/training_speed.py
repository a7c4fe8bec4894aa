"""Time of a training step beside a padded loop in the style of W-TALC's published code.

    python -m benchmarks.training_speed [--annotations thumos14.json] [-o runs/training_speed]

Both train W-TALC (a hidden layer, top-k, co-activity on 3 pairs) on the same random features of the
same videos, from memory, with Adam. The padded loop fills every video of a batch up to the longest
with zeros, runs the layers on all of it, and goes through videos and pairs one by one; wsgn packs
the videos behind each other. Steps alternate between both, so that a busy machine slows both.

Lengths are those of THUMOS14's training videos, where its annotations are given, or else drawn from
a log-normal distribution with the same median and spread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, log_softmax, relu

from benchmarks.measuring import Spread, digits, seconds_of, spread_of
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.config import ModelConfig, TrainConfig
from wsgn.data.annotations import VideoAnnotation, label_vector
from wsgn.data.layouts import read_annotations
from wsgn.data.samples import VideoSample, sample_rows
from wsgn.errors import UsageError
from wsgn.localization.timing import snippet_times
from wsgn.manifest import FeatureInput, Sampling
from wsgn.methods.config import WtalcConfig
from wsgn.support.command import run_command
from wsgn.training.sampler import draw_batch
from wsgn.training.trainer import Trainer

NUM_CLASSES = 20
SAMPLING = Sampling(frame_rate=25, snippet_length=16, snippet_stride=16)
# Snippets of THUMOS14's training videos, and the deviation of their logarithm.
MEDIAN_SNIPPETS, LOG_DEVIATION = 235, 0.92
BATCH_PAIRS = 3


class MemorySource:
    """Random features of videos with given lengths; see `wsgn.data.samples.VideoSource`."""

    def __init__(self, lengths: Sequence[int], feature_size: int) -> None:
        random = np.random.default_rng(0)
        self.classes = tuple(f"class {index}" for index in range(NUM_CLASSES))
        self.features = [
            random.normal(size=(length, feature_size)).astype(np.float32) for length in lengths
        ]
        self.videos = tuple(
            VideoAnnotation(
                name=f"video {index}",
                subset="train",
                duration_seconds=None,
                labels=(self.classes[index % NUM_CLASSES],),
                segments=(),
            )
            for index in range(len(lengths))
        )

    def num_snippets(self, index: int) -> int:
        """T of a video."""
        return len(self.features[index])

    def load(self, index: int) -> VideoSample:
        """All of a video."""
        return self._sample(index, np.arange(len(self.features[index])))

    def load_for_training(
        self,
        index: int,
        random: np.random.Generator,
        *,
        thinning: int,
        start_range: int | None,
        augment: bool,
    ) -> VideoSample:
        """Thinned features."""
        rows = sample_rows(len(self.features[index]), random, thinning, start_range)
        return self._sample(index, rows)

    def _sample(self, index: int, rows: np.ndarray) -> VideoSample:
        starts = SAMPLING.start_seconds(rows)
        features = self.features[index]
        return VideoSample(
            inputs=torch.from_numpy(features if len(rows) == len(features) else features[rows]),
            times=snippet_times(starts, np.zeros(len(rows), dtype=np.int64), SAMPLING),
        )


class PaddedLoop:
    """The same training, with padding and loops."""

    def __init__(self, source: MemorySource, train: TrainConfig, feature_size: int) -> None:
        self._source, self._train = source, train
        self._labels = np.stack([label_vector(v.labels, source.classes) for v in source.videos])
        self._hidden = nn.Linear(feature_size, feature_size)
        self._classifier = nn.Linear(feature_size, NUM_CLASSES)
        self._dropout = nn.Dropout(0.7)
        self._optimizer = torch.optim.Adam(
            [*self._hidden.parameters(), *self._classifier.parameters()],
            lr=train.learning_rate,
            weight_decay=train.weight_decay,
        )
        self._step = 0

    def run_step(self) -> None:
        """One update."""
        batch = draw_batch(
            self._labels,
            batch_videos=self._train.batch_videos,
            batch_pairs=self._train.batch_pairs,
            step=self._step,
            seed=self._train.seed,
        )
        self._step += 1
        videos = [self._source.features[index] for index in batch.videos]
        longest = max(map(len, videos))
        padded = np.stack([np.pad(v, ((0, longest - len(v)), (0, 0))) for v in videos])
        labels = torch.from_numpy(self._labels[list(batch.videos)])
        hidden = self._dropout(relu(self._hidden(torch.from_numpy(padded))))  # (B, T, D)
        activations = self._classifier(hidden)
        lengths = [len(video) for video in videos]
        loss = 0.5 * _top_k_loss(activations, labels, lengths)
        loss = loss + 0.5 * _coactivity_loss(
            hidden, activations, labels, lengths, 2 * self._train.batch_pairs
        )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()


def _top_k_loss(activations: Tensor, labels: Tensor, lengths: Sequence[int]) -> Tensor:
    pooled = []
    for video, length in enumerate(lengths):
        best = activations[video, :length].topk(-(-length // 8), dim=0).values
        pooled.append(best.mean(dim=0))
    share = labels / labels.sum(dim=1, keepdim=True)
    return -(share * log_softmax(torch.stack(pooled), dim=1)).sum(dim=1).mean()


def _coactivity_loss(
    hidden: Tensor, activations: Tensor, labels: Tensor, lengths: Sequence[int], paired: int
) -> Tensor:
    total, count = hidden.new_zeros(()), 0
    for first in range(0, paired, 2):
        high, low = [], []
        for video in (first, first + 1):
            length = lengths[video]
            attention = activations[video, :length].softmax(dim=0)  # (T, C)
            features = hidden[video, :length].T  # (D, T)
            high.append(features @ attention)
            low.append(features @ ((1 - attention) / (length - 1)))
        near = 1 - cosine_similarity(high[0], high[1], dim=0)
        for far in (
            1 - cosine_similarity(high[0], low[1], dim=0),
            1 - cosine_similarity(low[0], high[1], dim=0),
        ):
            both = labels[first] * labels[first + 1]
            total = total + 0.5 * (relu(near - far + 0.5) * both).sum() / both.sum().clamp(min=1)
        count += 1
    return total / max(1, count)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One row: both trainings on videos of given lengths."""

    feature_size: int
    batch_videos: int
    median_snippets: float
    longest_snippets: int
    # Of one step.
    wsgn_ms: Spread
    padded_loop_ms: Spread
    # Of steps in turn.
    ratio: Spread
    # Of wsgn.
    snippets_per_second: float


def measure(lengths: Sequence[int], feature_size: int, batch_videos: int, steps: int) -> Speed:
    """Seconds per step of both, alternating; the ratio of medians and the spread of ratios."""
    source = MemorySource(lengths, feature_size)
    train = TrainConfig(
        num_steps=steps + 2,
        batch_videos=batch_videos,
        batch_pairs=BATCH_PAIRS,
        thinning=1,
        gradient_clip=0,
        accumulate_snippets=4096,
    )
    model = ModelConfig(
        classes=source.classes,
        sampling=SAMPLING,
        features=FeatureInput(size=feature_size),
        method=WtalcConfig(),
        dropout=0.0,
    )
    ours, loop = Trainer(model, train, source), PaddedLoop(source, train, feature_size)
    times: dict[str, list[float]] = {"wsgn": [], "padded loop": []}
    for step in range(steps + 2):
        for name, run in (("wsgn", ours.run_step), ("padded loop", loop.run_step)):
            seconds = seconds_of(run)
            # The first two warm up.
            if step >= 2:
                times[name].append(seconds)
    ours.close()
    ratios = [b / a for a, b in zip(times["wsgn"], times["padded loop"], strict=True)]
    spread = spread_of(ratios)
    return Speed(
        feature_size=feature_size,
        batch_videos=batch_videos,
        median_snippets=statistics.median(lengths),
        longest_snippets=max(lengths),
        wsgn_ms=spread_of(times["wsgn"]).scaled(1000),
        padded_loop_ms=spread_of(times["padded loop"]).scaled(1000),
        ratio=spread,
        snippets_per_second=statistics.mean(lengths)
        * batch_videos
        / statistics.mean(times["wsgn"]),
    )


def video_lengths(annotations: Path | None) -> list[int]:
    """Snippets of each training video."""
    if annotations is None:
        drawn = np.random.default_rng(0).lognormal(np.log(MEDIAN_SNIPPETS), LOG_DEVIATION, 200)
        return [max(8, round(length)) for length in drawn.tolist()]
    videos = read_annotations(annotations).subset("validation")
    durations = [video.duration_seconds for video in videos if video.duration_seconds]
    return [int(seconds * 25 / 16) for seconds in durations]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure widths and lengths, print the table, and write it where asked for."""
    return run_command("benchmarks.training_speed", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_speed", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--annotations", type=Path, metavar="JSON", help="THUMOS14, ActivityNet-style")
    add("--steps", type=int, default=12, help="of each setting (default: %(default)s)")
    add("--batch-videos", type=int, default=20, help="in a step (default: %(default)s)")
    add("--threads", type=int, default=torch.get_num_threads(), help="(default: %(default)s)")
    add(
        "--widths", type=int, nargs="+", default=[128, 512, 1024],
        help="channels D of the features (default: 128 512 1024)",
    )  # fmt: skip
    add(
        "--lengths", type=int, nargs="*", default=[50, 200, 800],
        help="snippets of videos that are all as long, at the middle width (default: 50 200 800)",
    )  # fmt: skip
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if min(*arguments.widths, arguments.steps) < 1 or arguments.batch_videos < 2 * BATCH_PAIRS:
        raise UsageError(
            f"--widths and --steps must be positive, --batch-videos at least {2 * BATCH_PAIRS}."
        )
    torch.set_num_threads(arguments.threads)
    machine = describe_machine(with_torch=True)
    lengths = video_lengths(arguments.annotations)
    widths = arguments.widths
    settings = [(lengths, width) for width in widths]
    settings += [([length] * 40, widths[len(widths) // 2]) for length in arguments.lengths]
    results = []
    for video_snippets, width in settings:
        found = measure(video_snippets, width, arguments.batch_videos, arguments.steps)
        results.append(found)
        print(f"D {width}: {found.ratio} times as fast", file=sys.stderr, flush=True)
    document = {"results": [asdict(result) for result in results]}
    publish(arguments.output, document, as_table(results), machine)
    return 0


def as_table(results: Sequence[Speed]) -> str:
    """Markdown."""
    heading = [
        "D", "median T", "longest", "wsgn ms", "padded loop ms", "ratio (10 to 90 %)",
        "snippets per second",
    ]  # fmt: skip
    lines = []
    for found in results:
        sizes = [found.feature_size, f"{found.median_snippets:.0f}", found.longest_snippets]
        times = [digits(each.median) for each in (found.wsgn_ms, found.padded_loop_ms)]
        lines.append([*sizes, *times, found.ratio, f"{found.snippets_per_second:,.0f}"])
    return table(heading, lines)


if __name__ == "__main__":
    sys.exit(main())
