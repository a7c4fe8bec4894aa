"""Small manifests for tests of the streaming side."""

from __future__ import annotations

from wsgn.manifest import (
    COMPONENTS,
    FORMAT_VERSION,
    DetectionRule,
    FrameInput,
    Manifest,
    Prior,
    Sampling,
    SelectionRule,
)

CLASSES = ("wave", "jump", "bow")


def small_manifest(
    *,
    components: tuple[str, ...] = COMPONENTS,
    softmax_scale: str = "mean_one",
    prior_count: float = 4.0,
    threshold: float = 0.25,
    merge_gap_seconds: float = 0.0,
    smoothing_snippets: int = 1,
) -> Manifest:
    """Three classes, snippets of 0.8 s every 0.4 s."""
    return Manifest(
        format_version=FORMAT_VERSION,
        classes=CLASSES,
        sampling=Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4),
        frames=FrameInput(height=4, width=4),
        selection=SelectionRule(
            components=components,
            softmax_scale=softmax_scale,
            class_activation="softmax",
            global_mean=(0.5, -0.2, 0.0),
            global_std=(1.0, 1.5, 0.8),
        ),
        prior=Prior(
            count=prior_count,
            mean=(0.1, 0.0, -0.3),
            variance=(1.0, 0.7, 1.2),
            log_mean_exponential=(0.5, 0.4, 0.2),
            maximum=(2.0, 1.5, 1.8),
        ),
        detection=DetectionRule(
            open_thresholds=(threshold,) * 3,
            close_thresholds=(threshold * 0.8,) * 3,
            minimum_duration_seconds=0.5,
            merge_gap_seconds=merge_gap_seconds,
            smoothing_snippets=smoothing_snippets,
        ),
    )
