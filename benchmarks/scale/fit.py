"""From what was timed to constants: each is what is left when all that is known is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.throughput import FRAME_RATE

# What was timed, by its name, at each repeat.
Timings = dict[str, list[float]]

SMALL = (160, 120)
# Pictures that decoding is fitted to.
SIZES = (SMALL, (320, 240), (1280, 720))
# Of benchmarks.live_load.
CAMERA_SIZE = (320, 240)
# What the short sources are.
SHORT_SECONDS, FEW_SNIPPETS = 2, 50
_DRAWS = 100


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much is measured."""

    repeats: int
    # Short videos, and feature files: 0 leaves out these, merging and --resume.
    videos: int = 300
    features: int = 300
    # Of each kind so many long ones.
    long_videos: int = 4
    long_seconds: int = 60
    long_snippets: int = 2000
    # Of the videos that are decoded alone.
    decode_seconds: int = 4
    # 0 leaves cameras out.
    cameras: int = 12
    camera_seconds: float = 20.0
    camera_rounds: int = 3


def fit(
    timings: Mapping[str, list[float]], amounts: Amounts, snippets_per_second: float
) -> dict[str, list[float]]:
    """Draws of each constant, as other repeats would have given them; the first is of all.

    A draw takes the median of so many repeats that are drawn with replacement. What cannot be told
    from nothing is 0.
    """
    random = np.random.default_rng(0)
    samples: dict[str, list[float]] = {}
    for draw in range(_DRAWS):
        medians = {
            name: float(np.median(values if draw == 0 else random.choice(values, len(values))))
            for name, values in timings.items()
        }
        for name, value in _constants(medians, amounts, snippets_per_second).items():
            samples.setdefault(name, []).append(max(0.0, value))
    return samples


def footage_seconds(
    constants: Mapping[str, float],
    *,
    frames_per_second: float,
    pixels: float,
    snippets_per_second: float,
) -> float:
    """Processor time of decoding a second of video, and of the engine on it."""
    frame = constants["decode_frame"] + pixels * constants["decode_pixel"]
    return frames_per_second * frame + snippets_per_second * constants["engine_snippet"]


def _constants(took: Mapping[str, float], amounts: Amounts, rate: float) -> dict[str, float]:
    found = _decoding(took) | {"engine_snippet": took["engine"]}
    known = footage_seconds(
        found, frames_per_second=FRAME_RATE, pixels=_pixels(SMALL), snippets_per_second=rate
    )
    start, video, second = _solved(
        [took["one"], took["many"], took["long"]],
        (amounts.videos, SHORT_SECONDS),
        (amounts.long_videos, amounts.long_seconds),
    )
    further = amounts.videos - 1
    one, many = took["one worked"], took["many worked"]
    found |= {
        "start": start,
        "video": video,
        "snippet": (second - known) / rate,
        "worker_start": one - took["one"],
        "worker_video": (many - one - (took["many"] - took["one"])) / further,
        "parent_video": (took["many handed out"] - took["one handed out"]) / further,
    }
    found |= {name: took[name] for name in ("disk_megabyte", "file", "reference")}
    if amounts.features:
        found |= _of_features(took, amounts)
    return found | (_cameras(took, amounts, found, rate) if amounts.cameras else {})


def _decoding(took: Mapping[str, float]) -> dict[str, float]:
    """A line through the processor time of a frame over its pixels, each size weighed alike."""
    costs = np.array([took[f"decode {height}"] for _, height in SIZES])
    columns = np.array([[1.0, _pixels(size)] for size in SIZES]) / costs[:, None]  # (sizes, 2)
    (base, slope), *_ = np.linalg.lstsq(columns, np.ones(len(SIZES)), rcond=None)
    return {"decode_frame": float(base), "decode_pixel": float(slope)}


def _of_features(took: Mapping[str, float], amounts: Amounts) -> dict[str, float]:
    start, video, snippet = _solved(
        [took[f"features {name}"] for name in ("one", "many", "long")],
        (amounts.features, FEW_SNIPPETS),
        (amounts.long_videos, amounts.long_snippets),
    )
    further = amounts.features - 1
    return {
        "feature_start": start,
        "feature_video": video,
        "feature_snippet": snippet,
        "merge_start": took["one merged"],
        "merge_video": (took["many merged"] - took["one merged"]) / further,
        "resume_video": (took["many resumed"] - took["one resumed"]) / further,
    }


def _solved(
    taken: list[float], many: tuple[float, float], long: tuple[float, float]
) -> list[float]:
    """What start-up, a source and a unit of its length take: of one, of many, of long ones."""
    amounts = [[1.0, count, count * length] for count, length in ((1.0, many[1]), many, long)]
    found: list[float] = np.linalg.solve(np.array(amounts), np.array(taken)).tolist()
    return found


def _cameras(
    took: Mapping[str, float], amounts: Amounts, found: Mapping[str, float], rate: float
) -> dict[str, float]:
    known = footage_seconds(
        found, frames_per_second=FRAME_RATE, pixels=_pixels(CAMERA_SIZE), snippets_per_second=rate
    )
    together, count = took["memory together"], amounts.cameras
    process = (took["memory apart"] - together) / (count - 1)
    return {
        "camera": took["cameras together"] - known,
        "camera_memory": (together - process) / count,
        "camera_process_memory": process,
    }


def _pixels(size: tuple[int, int]) -> float:
    return float(size[0] * size[1])
