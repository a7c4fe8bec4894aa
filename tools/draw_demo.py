"""Draws docs/demo.png: the packaged sample, what is true and what the packaged engine finds.

python tools/draw_demo.py docs/demo.png
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsgn.localization.segments import smoothed_scores
from wsgn.runtime import Segment, open_engine
from wsgn.runtime.demo import load_demo
from wsgn.runtime.events import SegmentEvent
from wsgn.runtime.pipeline import Detection

WIDTH, MARGIN, LABEL_WIDTH = 1240, 20, 70
NUM_THUMBNAILS, LANE_HEIGHT, BAR_HEIGHT = 10, 62, 9
INK, FAINT_INK, FAINT = "#222222", "#777777", "#e4e4e4"
SCORE, TRUE, FOUND = "#2e6f9e", "#9a9a9a", "#d1495b"


def main() -> int:
    """Run the demo's parts and draw them."""
    assets = load_demo()
    with open_engine(assets.engine) as engine:
        detection = Detection(assets.video, engine)
        events = list(detection.events())
        manifest = engine.manifest
    found = [e for e in events if isinstance(e, SegmentEvent) and e.final]
    scores = detection.frame_scores()
    assert scores is not None
    starts, epoch = detection.snippet_times()
    curve = smoothed_scores(scores, epoch, manifest.detection.smoothing_snippets)
    centres = starts + manifest.sampling.snippet_length / manifest.sampling.frame_rate / 2
    frames = read_frames(assets.video)
    seconds = float(centres[-1] + centres[0])
    image = draw(frames, list(manifest.classes), curve, centres, seconds, list(assets.truth), found)
    image.save(sys.argv[1], optimize=True)
    return 0


def read_frames(path: Path) -> list[Image.Image]:
    """Evenly spaced frames of the sample."""
    with av.open(str(path)) as container:
        frames = [
            frame.to_image()  # type: ignore[no-untyped-call]
            for frame in container.decode(video=0)
        ]
    indices = (np.arange(NUM_THUMBNAILS) + 0.5) / NUM_THUMBNAILS * len(frames)
    return [frames[int(index)] for index in indices]


def draw(
    frames: list[Image.Image],
    classes: list[str],
    scores: np.ndarray,
    centres: np.ndarray,
    seconds: float,
    truth: list[Segment],
    found: list[SegmentEvent],
) -> Image.Image:
    """Thumbnails over one lane per class: the score, the true segments, the found ones."""
    left = MARGIN + LABEL_WIDTH
    span = WIDTH - MARGIN - left
    thumb_width = span // NUM_THUMBNAILS
    thumb_height = thumb_width * frames[0].height // frames[0].width
    top = MARGIN + thumb_height + 12
    bottom = top + LANE_HEIGHT * len(classes)
    image = Image.new("RGB", (WIDTH, bottom + 58), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(15)
    for index, frame in enumerate(frames):
        small = frame.resize((thumb_width - 3, thumb_height))
        image.paste(small, (left + index * thumb_width, MARGIN))

    def x_of(time: float) -> float:
        return left + span * time / seconds

    for row, label in enumerate(classes):
        lane = top + row * LANE_HEIGHT
        base = lane + LANE_HEIGHT - 2 * BAR_HEIGHT - 10
        pen.text((MARGIN, base - 22), label, fill=INK, font=font)
        rise = (base - lane - 4) / max(float(scores.max()), 1e-9)
        points = [
            (x_of(float(t)), base - rise * float(s))
            for t, s in zip(centres, scores[:, row], strict=True)
        ]
        pen.polygon([(points[0][0], base), *points, (points[-1][0], base)], fill="#cfe1ee")
        pen.line(points, fill=SCORE, width=2)
        pen.line([(left, base), (left + span, base)], fill=FAINT)
        bars: list[tuple[str, int, Sequence[Segment | SegmentEvent]]] = [
            (TRUE, base + 3, truth),
            (FOUND, base + 4 + BAR_HEIGHT, found),
        ]
        for colour, y, segments in bars:
            for segment in segments:
                if segment.label == label:
                    ends = x_of(segment.start_seconds), x_of(segment.end_seconds)
                    pen.rectangle([ends[0], y, ends[1], y + BAR_HEIGHT - 1], fill=colour)
    for tick in range(0, int(seconds) + 1, 5):
        pen.text((x_of(tick), bottom + 4), f"{tick} s", fill=FAINT_INK, font=font)
    for index, (word, colour) in enumerate((("score", SCORE), ("true", TRUE), ("found", FOUND))):
        x = left + index * 110
        pen.rectangle([x, bottom + 36, x + 22, bottom + 44], fill=colour)
        pen.text((x + 28, bottom + 30), word, fill=INK, font=font)
    return image


if __name__ == "__main__":
    raise SystemExit(main())
