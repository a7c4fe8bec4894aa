"""Optimization profiles: the shapes that a plan takes, and those that it is tuned for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from wsgn.engines.tensorrt.sidecar import Profile, ShapeRange
from wsgn.errors import EngineError, UsageError
from wsgn.export.plan.input import PlanInput

# (minimum, optimum, maximum) of a dimension.
Span = tuple[int, int, int]

# Snippets: what a live source sends at once, and what one batch of a file may hold.
_MOST_LIVE, _USUAL_LIVE = 64, 8
_MOST_SNIPPETS = 1024
# Of whole videos: 20,000 snippets are 3 hours at two a second.
_MOST_VIDEOS, _USUAL_VIDEO, _LONGEST_VIDEO = 8, 1000, 20_000
_MOST_STREAMS = 64
# Pixels of all frames of a call, 83 snippets of 16 frames of 224 x 224. In float32 they take
# 0.8 GB, and what the first convolution of I3D makes of them 2.1 GB.
_MOST_PIXELS = 1 << 26
# TensorRT counts the elements of a tensor in 31 bits.
_MOST_ELEMENTS = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest shapes that are asked for; None leaves them to the kind of the graph."""

    # N of snippets and of streams, T of whole videos.
    max_snippets: int | None = None
    # B: streams, or videos.
    max_batch: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_snippets", "max_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} must be at least 1, got {value}.")


def plan_profiles(source: PlanInput, limits: Limits) -> tuple[Profile, ...]:
    """The profiles of a graph, from the smallest range to the largest.

    A host takes the first one that holds its shapes. Raises `UsageError` for limits that no plan
    can have.
    """
    spans = _SPANS[source.manifest.graph](source, limits)
    profiles = tuple(_profile(source, name, axes) for name, axes in spans.items())
    for profile in profiles:
        for name, shapes in profile.inputs.items():
            if math.prod(shapes.maximum) > _MOST_ELEMENTS:
                raise UsageError(
                    f"the largest input '{name}' would be {list(shapes.maximum)}, TensorRT takes "
                    "at most 2^31 - 1 elements: give a smaller --max-snippets or --max-batch."
                )
    return profiles


def _snippet_spans(source: PlanInput, limits: Limits) -> dict[str, dict[str, Span]]:
    if limits.max_batch is not None:
        raise UsageError(
            "--max-batch is for graphs of whole videos and of streams: the snippets of all "
            "videos share one dimension here, --max-snippets."
        )
    most = limits.max_snippets or min(_MOST_SNIPPETS, _most_by_pixels(source))
    live = min(_MOST_LIVE, max(1, most // 4))
    spans = {"streaming": {"N": _span(_USUAL_LIVE, live)}}
    if most > live:
        spans["offline"] = {"N": _span(most // 4, most)}
    return spans


def _whole_video_spans(source: PlanInput, limits: Limits) -> dict[str, dict[str, Span]]:
    # Frames of one video fill a call as it is.
    videos = limits.max_batch or (_MOST_VIDEOS if source.manifest.frames is None else 1)
    longest = limits.max_snippets or min(_LONGEST_VIDEO, _most_by_pixels(source, videos))
    return {"offline": {"B": _span(1, videos), "T": _span(_USUAL_VIDEO, longest)}}


def _streaming_spans(source: PlanInput, limits: Limits) -> dict[str, dict[str, Span]]:
    streams = limits.max_batch or min(_MOST_STREAMS, _most_by_pixels(source))
    if "N" not in source.axes:
        # Exported for calls of one snippet.
        return {"streaming": {"B": _span(_USUAL_LIVE, streams)}}
    snippets = limits.max_snippets or min(_MOST_LIVE, _most_by_pixels(source, streams))
    return {"streaming": {"B": _span(_USUAL_LIVE, streams), "N": _span(_USUAL_LIVE, snippets)}}


_SPANS = {
    "snippet": _snippet_spans,
    "whole-video": _whole_video_spans,
    "streaming": _streaming_spans,
}


def _span(usual: int, most: int) -> Span:
    return 1, max(1, min(usual, most)), most


def _most_by_pixels(source: PlanInput, batch: int = 1) -> int:
    """How many snippets of frames, of each of a batch, fit into a call; features always do."""
    frames = source.manifest.frames
    if frames is None:
        return _MOST_ELEMENTS
    pixels = frames.height * frames.width * source.manifest.sampling.snippet_length
    return max(1, _MOST_PIXELS // (pixels * batch))


def _profile(source: PlanInput, name: str, spans: Mapping[str, Span]) -> Profile:
    if set(source.axes) != set(spans):
        raise EngineError(
            f"the graph of '{source.path}' leaves {', '.join(source.axes) or 'nothing'} open, one "
            f"of the kind '{source.manifest.graph}' must leave {', '.join(spans)} open: export it "
            "again with export/to_onnx.py."
        )
    return Profile(
        name=name,
        inputs={
            one.name: ShapeRange(
                minimum=one.shape({axis: span[0] for axis, span in spans.items()}),
                optimum=one.shape({axis: span[1] for axis, span in spans.items()}),
                maximum=one.shape({axis: span[2] for axis, span in spans.items()}),
            )
            for one in source.inputs
        },
    )
