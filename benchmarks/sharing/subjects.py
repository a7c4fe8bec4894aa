"""The commands that are shared out, what each is given, and what it writes."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import WSGN_RUN
from benchmarks.results import ROOT
from benchmarks.sharing.errors import SharingError

sys.path.append(str(ROOT / "tests"))

import planted

# Files of these names do what they are called; see `planted_faults`.
_FAULTS = ("crash", "hang")
# Videos that differ from one another; the others are copies.
_NUM_DIFFERENT = 20
_TRAINING = ("--preset", "wsgn+", "--steps", "20", "--learning-rate", "0.02", "--thinning", "1")
_SMALL = ("--backbone", "compact", "--random-weights", "--short-side", "48", "--crop-size", "40")


def _start(module: str) -> tuple[str, ...]:
    """A command, whether or not its script is installed."""
    code = f"import sys; from wsgn.{module}.cli import main; sys.exit(main())"
    return (sys.executable, "-c", code)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A command and its materials. It is run in the folder of its results."""

    name: str
    start: tuple[str, ...]
    # Words for all videos, and for one of them.
    every: tuple[str, ...]
    single: tuple[str, ...]
    # While it is open: words for all videos, one that kills its worker and one that hangs.
    with_faults: Callable[[], AbstractContextManager[tuple[str, ...]]]
    # Words of every run but that of a join.
    options: tuple[str, ...]
    # The option for a number of processes.
    workers: str
    # Words of each shard, and what is run when all have ended, from the words of the others.
    of_shards: tuple[str, ...] = ()
    join: Callable[[tuple[str, ...]], tuple[str, ...]] | None = None
    # Which files are the same where other videos failed.
    lasts: Callable[[str], bool] = lambda name: True
    # Of each finished video; empty where all are written at the end.
    finished: str = ""
    # Words with which it goes on where it was ended.
    resume: tuple[str, ...] = ()


class Videos:
    """Videos of 2 to 6 s in a folder, and one of them in another."""

    def __init__(self, folder: Path, num_videos: int) -> None:
        self.every, self.single = folder / "videos", folder / "single"
        for made in (self.every, self.single):
            made.mkdir()
        for number in range(num_videos):
            self._write(number)
        shutil.copy(self.every / "video_0000.mp4", self.single)

    def _write(self, number: int) -> None:
        path = self.every / f"video_{number:04}.mp4"
        if number >= _NUM_DIFFERENT:
            shutil.copy(self.every / f"video_{number % _NUM_DIFFERENT:04}.mp4", path)
            return
        colour = ("red", "green", "blue")[number % 3]
        planted.write_video(path, (("black", 0.5), (colour, 1 + number * 0.2), ("black", 0.5)))

    @contextmanager
    def with_faults(self) -> Iterator[tuple[str, ...]]:
        """The folder with two more, for as long as the block runs."""
        paths = [self.every / f"{name}.mp4" for name in _FAULTS]
        for path in paths:
            shutil.copy(self.single / "video_0000.mp4", path)
        try:
            yield (str(self.every),)
        finally:
            for path in paths:
                path.unlink()


def run_subject(folder: Path, videos: Videos) -> Subject:
    """wsgn-run with a planted engine."""
    engine = planted.write_engine(folder / "planted.onnx")
    merge = (*WSGN_RUN, "merge", ".")
    return Subject(
        name="wsgn-run",
        start=WSGN_RUN,
        every=(str(videos.every),),
        single=(str(videos.single),),
        with_faults=videos.with_faults,
        options=("-e", str(engine), "-f", "jsonl,json,csv", "-o", ".", "--threads", "1", "-q"),
        workers="--workers",
        join=lambda words: merge,
        # detections.json names all sources, also those that failed.
        lasts=lambda name: not name.endswith(".json"),
        finished="video_*.csv",
        resume=("--resume",),
    )


def features_subject(videos: Videos) -> Subject:
    """wsgn-features with the smallest backbone on small pictures."""
    return Subject(
        name="wsgn-features",
        start=_start("extraction"),
        every=(str(videos.every),),
        single=(str(videos.single),),
        with_faults=videos.with_faults,
        options=(*_SMALL, "-o", ".", "--threads", "1", "-q"),
        workers="--processes",
        finished="video_*.safetensors",
    )


def predict_subject(folder: Path, num_videos: int) -> Subject:
    """wsgn-predict with a small model on features of 12 to 20 s, its mAP and its page."""
    from toy import train_words, write_toy_dataset

    from wsgn.training.cli import main as train

    world = folder / "predicted"
    world.mkdir()
    write_toy_dataset(world, num_test=num_videos)
    words = train_words(world, world / "run", *_TRAINING, "--threads", "1", "-q")
    # What it says is no result of this benchmark.
    with redirect_stdout(io.StringIO()):
        code = train(words)
    if code != 0:
        raise SharingError("no model could be trained.")
    annotations = _write_annotations(world)
    given = (str(world / "run" / "model.safetensors"), "--features", str(world / "features"))
    start = _start("prediction")
    made = ("-o", "found.json", "--protocol", "activitynet", "--report", "page.html", "--json")
    options = (*given, *made, "--threads", "1", "-q")

    @contextmanager
    def with_faults() -> Iterator[tuple[str, ...]]:
        yield (annotations["faulty"],)

    return Subject(
        name="wsgn-predict",
        start=start,
        every=(annotations["every"],),
        single=(annotations["single"],),
        with_faults=with_faults,
        options=options,
        workers="--workers",
        of_shards=("--parts", "parts"),
        join=lambda words: (*start, *words, *options, "--parts", "parts"),
        # Nothing is scored where a video failed.
        lasts=lambda name: name == "found.json",
    )


def _write_annotations(world: Path) -> Mapping[str, str]:
    """Paths of those of all test videos, of one, and of all and two whose files are faulty."""
    document = json.loads((world / "annotations.json").read_text())
    every = {name: one for name, one in document["database"].items() if one["subset"] == "test"}
    first = next(iter(every))
    for name in _FAULTS:
        features = world / "features"
        shutil.copy(features / f"{first}.safetensors", features / f"{name}.safetensors")
    databases = {
        "every": every,
        "single": {first: every[first]},
        "faulty": every | dict.fromkeys(_FAULTS, every[first]),
    }
    for name, database in databases.items():
        (world / f"{name}.json").write_text(json.dumps(document | {"database": database}))
    return {name: str(world / f"{name}.json") for name in databases}
