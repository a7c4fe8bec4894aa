"""Draws docs/demo.png: the packaged sample, what is true and what the packaged engine finds.

python tools/draw_demo.py docs/demo.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsgn.localization.segments import smoothed_scores
from wsgn.runtime import Segment, open_engine
from wsgn.runtime.demo import load_demo
from wsgn.runtime.events import SegmentEvent
from wsgn.runtime.pipeline import Detection
from wsgn.support.arrays import FloatArray
from wsgn.support.command import run_command

WIDTH, MARGIN, LABEL_WIDTH = 1240, 20, 70
NUM_THUMBNAILS, LANE_HEIGHT, BAR_HEIGHT = 10, 62, 9
LEFT = MARGIN + LABEL_WIDTH
SPAN = WIDTH - MARGIN - LEFT
INK, FAINT_INK, FAINT = "#222222", "#777777", "#e4e4e4"
AREA, SCORE, TRUE, FOUND = "#cfe1ee", "#2e6f9e", "#9a9a9a", "#d1495b"
FONT = ImageFont.load_default(15)

AnySegment = Segment | SegmentEvent


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is drawn."""

    frames: list[Image.Image]
    classes: tuple[str, ...]
    # Scores (T, C) and the centres of their snippets.
    scores: FloatArray
    centres_seconds: FloatArray
    truth: Sequence[Segment]
    found: Sequence[SegmentEvent]

    @property
    def seconds(self) -> float:
        """Of the whole video."""
        return float(self.centres_seconds[-1] + self.centres_seconds[0])

    def x_of(self, seconds: float) -> float:
        """Pixels from the left."""
        return LEFT + SPAN * seconds / self.seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo's parts and draw them."""

    def work() -> int:
        parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
        parser.add_argument("output", type=Path, metavar="FILE.png")
        output: Path = parser.parse_args(argv).output
        draw(run_demo()).save(output, optimize=True)
        return 0

    return run_command("draw_demo.py", work)


def run_demo() -> Sample:
    """The packaged engine on the packaged sample."""
    assets = load_demo()
    with open_engine(assets.engine) as engine:
        detection = Detection(assets.video, engine)
        events = list(detection.events())
        manifest = engine.manifest
    scores = detection.frame_scores()
    assert scores is not None
    starts, epoch = detection.snippet_times()
    half_a_snippet = manifest.sampling.snippet_length / manifest.sampling.frame_rate / 2
    return Sample(
        frames=read_frames(assets.video),
        classes=tuple(manifest.classes),
        scores=smoothed_scores(scores, epoch, manifest.detection.smoothing_snippets),
        centres_seconds=starts + half_a_snippet,
        truth=assets.truth,
        found=[event for event in events if isinstance(event, SegmentEvent) and event.final],
    )


def read_frames(path: Path) -> list[Image.Image]:
    """Evenly spaced frames of the sample."""
    with av.open(str(path)) as container:
        frames = [
            frame.to_image()  # type: ignore[no-untyped-call]
            for frame in container.decode(video=0)
        ]
    indices = (np.arange(NUM_THUMBNAILS) + 0.5) / NUM_THUMBNAILS * len(frames)
    return [frames[int(index)] for index in indices]


def draw(sample: Sample) -> Image.Image:
    """Thumbnails over one lane per class: the score, the true segments, the found ones."""
    thumb_width = SPAN // NUM_THUMBNAILS
    thumb_height = thumb_width * sample.frames[0].height // sample.frames[0].width
    top = MARGIN + thumb_height + 12
    bottom = top + LANE_HEIGHT * len(sample.classes)
    image = Image.new("RGB", (WIDTH, bottom + 58), "white")
    pen = ImageDraw.Draw(image)
    for index, frame in enumerate(sample.frames):
        small = frame.resize((thumb_width - 3, thumb_height))
        image.paste(small, (LEFT + index * thumb_width, MARGIN))
    for row in range(len(sample.classes)):
        draw_lane(pen, sample, row, top + row * LANE_HEIGHT)
    for tick in range(0, int(sample.seconds) + 1, 5):
        pen.text((sample.x_of(tick), bottom + 4), f"{tick} s", fill=FAINT_INK, font=FONT)
    draw_legend(pen, bottom)
    return image


def draw_lane(pen: ImageDraw.ImageDraw, sample: Sample, row: int, top: int) -> None:
    """One class."""
    label = sample.classes[row]
    base = top + LANE_HEIGHT - 2 * BAR_HEIGHT - 10
    pen.text((MARGIN, base - 22), label, fill=INK, font=FONT)
    rise = (base - top - 4) / max(float(sample.scores.max()), 1e-9)
    points = [
        (sample.x_of(float(t)), base - rise * float(s))
        for t, s in zip(sample.centres_seconds, sample.scores[:, row], strict=True)
    ]
    pen.polygon([(points[0][0], base), *points, (points[-1][0], base)], fill=AREA)
    pen.line(points, fill=SCORE, width=2)
    pen.line([(LEFT, base), (LEFT + SPAN, base)], fill=FAINT)
    bars: list[tuple[str, int, Sequence[AnySegment]]] = [
        (TRUE, base + 3, sample.truth),
        (FOUND, base + 4 + BAR_HEIGHT, sample.found),
    ]
    for colour, y, segments in bars:
        for segment in segments:
            if segment.label == label:
                ends = sample.x_of(segment.start_seconds), sample.x_of(segment.end_seconds)
                pen.rectangle([ends[0], y, ends[1], y + BAR_HEIGHT - 1], fill=colour)


def draw_legend(pen: ImageDraw.ImageDraw, bottom: int) -> None:
    """What the colours mean."""
    for index, (word, colour) in enumerate((("score", SCORE), ("true", TRUE), ("found", FOUND))):
        x = LEFT + index * 110
        pen.rectangle([x, bottom + 36, x + 22, bottom + 44], fill=colour)
        pen.text((x + 28, bottom + 30), word, fill=INK, font=FONT)


if __name__ == "__main__":
    sys.exit(main())
