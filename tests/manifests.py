"""Small manifests for tests of the streaming side, and a rule for every way to score."""

from __future__ import annotations

from dataclasses import replace

from wsgn.manifest import (
    COMPONENTS,
    FORMAT_VERSION,
    DetectionRule,
    FrameInput,
    Manifest,
    MultiThresholdRule,
    Prior,
    Sampling,
    SelectionRule,
    VideoScore,
)

CLASSES = ("wave", "jump", "bow")

_PAPER = SelectionRule(
    components=COMPONENTS,
    softmax_scale="max_one",
    class_activation="softmax",
    global_mean=(0.5, -0.2, 0.0),
    global_std=(1.0, 1.5, 0.8),
)
_WEIGHTED = VideoScore(pooling="weighted")
_TOP = VideoScore(pooling="top", of="logits", activation="sigmoid", snippets_per_pick=8)
# How each method scores (wsgn.methods.rules), of three classes.
METHOD_RULES = {
    "wsgn, per frame": _PAPER,
    "wsgn, average, product": replace(
        _PAPER, weight_scale="average", gate="product", video_score=_WEIGHTED
    ),
    "wsgn, average, cut": replace(
        _PAPER, weight_scale="average", gate="cut", video_score=_WEIGHTED
    ),
    "wsgn, average, soft": replace(
        _PAPER,
        weight_scale="average",
        gate="soft",
        class_activation="sigmoid",
        components=("local_gaussian", "temporal_softmax"),
        video_score=_WEIGHTED,
    ),
    "wsgn, average of logits": replace(
        _PAPER,
        weight_scale="average",
        class_activation="sigmoid",
        video_score=replace(_WEIGHTED, of="logits", activation="sigmoid"),
    ),
    "wsgn, top": replace(_PAPER, components=(), class_activation="sigmoid", video_score=_TOP),
    "untrimmednets": replace(
        _PAPER,
        weight_scale="average",
        components=("temporal_softmax",),
        gate="hard",
        video_score=_WEIGHTED,
    ),
    "stpn": replace(
        _PAPER,
        components=("attention",),
        class_activation="sigmoid",
        video_score=VideoScore(
            pooling="weighted", of="logits", activation="sigmoid", bias=(0.1, -0.5, 0.3)
        ),
    ),
    "wtalc": replace(
        _PAPER,
        components=(),
        class_activation="identity",
        video_score=replace(_TOP, activation="softmax"),
    ),
}


def small_manifest(
    *,
    components: tuple[str, ...] = COMPONENTS,
    softmax_scale: str = "mean_one",
    prior_count: float = 4.0,
    threshold: float = 0.25,
    merge_gap_seconds: float = 0.0,
    smoothing_snippets: int = 1,
    selection: SelectionRule | None = None,
    proposals: MultiThresholdRule | None = None,
) -> Manifest:
    """Three classes, snippets of 0.8 s every 0.4 s."""
    return Manifest(
        format_version=FORMAT_VERSION,
        classes=CLASSES,
        sampling=Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4),
        frames=FrameInput(height=4, width=4),
        selection=selection or replace(_PAPER, components=components, softmax_scale=softmax_scale),
        prior=Prior(
            count=prior_count,
            mean=(0.1, 0.0, -0.3),
            variance=(1.0, 0.7, 1.2),
            log_mean_exponential=(0.5, 0.4, 0.2),
            maximum=(2.0, 1.5, 1.8),
            mean_local=() if selection is None else (0.6, 0.5, 0.55),
            mean_global=() if selection is None else (0.4, 0.6, 0.5),
        ),
        detection=DetectionRule(
            open_thresholds=(threshold,) * 3,
            close_thresholds=(threshold * 0.8,) * 3,
            minimum_duration_seconds=0.5,
            merge_gap_seconds=merge_gap_seconds,
            smoothing_snippets=smoothing_snippets,
        ),
        proposals=proposals,
    )
