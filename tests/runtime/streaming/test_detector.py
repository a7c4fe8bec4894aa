"""The detector: any chopping, any interruption, and each mode against its definition."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import CLASSES, small_manifest

from wsgn.errors import UsageError
from wsgn.localization.online.scorer import CausalScorer, WindowScorer
from wsgn.localization.scoring import frame_scores
from wsgn.manifest import COMPONENTS, SOFTMAX_SCALES, Manifest, MultiThresholdRule
from wsgn.runtime.events import Event, RetractEvent, SegmentEvent, StartEvent
from wsgn.runtime.streaming.detector import Detector, SnippetLogits
from wsgn.runtime.streaming.rules import SCORE_MODES, DetectorOptions, check_options
from wsgn.selection.api import frame_selection


def random_stream(seed: int, count: int, *, gaps: bool = True) -> SnippetLogits:
    """Slowly varying logits and probabilities, with a gap or two."""
    random = np.random.default_rng(seed)
    walk = np.cumsum(random.normal(size=(count, 3)), axis=0) * 0.5
    hidden = np.cumsum(random.normal(size=(count, 3)), axis=0) * 0.6
    probabilities = np.exp(hidden) / np.exp(hidden).sum(axis=1, keepdims=True)
    epoch = np.cumsum(random.random(count) < (0.05 if gaps else 0)).astype(np.int64)
    return SnippetLogits(
        start_seconds=np.arange(count) * 0.4 + epoch * 3.0,
        epoch=epoch,
        selection_logits=walk.astype(np.float32),
        class_probabilities=probabilities.astype(np.float32),
    )


def part(stream: SnippetLogits, start: int, end: int) -> SnippetLogits:
    return SnippetLogits(**{name: value[start:end] for name, value in vars(stream).items()})


def saved_and_restored(
    detector: Detector, manifest: Manifest, options: DetectorOptions
) -> Detector:
    """Through a file, as a user would keep it."""
    file = io.BytesIO()
    np.savez(file, **detector.state_dict())
    file.seek(0)
    other = Detector(manifest, options)
    with np.load(file, allow_pickle=False) as state:
        other.restore(dict(state))
    return other


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 60),
    mode=st.sampled_from(SCORE_MODES),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    restores=st.lists(st.booleans(), min_size=9, max_size=9),
    gap=st.sampled_from([0.0, 0.5]),
    smoothing=st.sampled_from([1, 5]),
)
def test_any_chopping_and_any_restore_give_the_same_events(
    seed: int,
    count: int,
    mode: str,
    cuts: list[int],
    restores: list[bool],
    gap: float,
    smoothing: int,
) -> None:
    manifest = small_manifest(merge_gap_seconds=gap, smoothing_snippets=smoothing)
    options = DetectorOptions(scores=mode, window_seconds=5.0)
    stream = random_stream(seed, count)
    whole = Detector(manifest, options)
    expected = whole.push(stream) + whole.flush()

    detector = Detector(manifest, options)
    events: list[Event] = []
    edges = [0, *sorted(min(cut, count) for cut in cuts), count]
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        if restores[index]:
            detector = saved_and_restored(detector, manifest, options)
        events += detector.push(part(stream, start, end))
    events += detector.flush()
    assert events == expected


@pytest.mark.parametrize("components", [COMPONENTS, ("local_gaussian",), ("temporal_softmax",), ()])
@pytest.mark.parametrize("scale", SOFTMAX_SCALES)
def test_exact_scores_equal_the_training_operator(components: tuple[str, ...], scale: str) -> None:
    manifest = small_manifest(components=components, softmax_scale=scale)
    stream = random_stream(3, 50)
    detector = Detector(manifest, DetectorOptions(scores="exact"))
    detector.push(stream)
    detector.flush()
    probabilities = torch.from_numpy(stream.class_probabilities)
    expected = probabilities
    if components:
        rule = manifest.selection
        expected = frame_selection(
            torch.from_numpy(stream.selection_logits),
            probabilities.log(),
            torch.tensor([0, 50]),
            torch.tensor(rule.global_mean),
            torch.tensor(rule.global_std),
            components=components,
            softmax_scale=scale,
        ).scores
    assert detector.frame_scores is not None
    np.testing.assert_allclose(detector.frame_scores, expected.numpy(), atol=2e-5)


def test_causal_scores_are_those_of_all_snippets_so_far_and_the_prior() -> None:
    manifest = small_manifest(prior_count=2.0)
    # Two pseudo-observations with the prior's mean and variance: mean -+ standard deviation.
    prior = manifest.prior
    spread = np.sqrt(prior.variance)
    pseudo = np.array([prior.mean - spread, prior.mean + spread])
    mean_exponential = np.log(np.exp(pseudo).mean(axis=0))
    manifest = replace(
        manifest,
        prior=replace(
            prior,
            log_mean_exponential=tuple(mean_exponential),
            maximum=tuple(pseudo.max(axis=0)),
        ),
    )
    stream = random_stream(5, 30)
    scorer = CausalScorer(manifest)
    for t in range(30):
        logits = stream.selection_logits[t].astype(np.float64)
        probabilities = stream.class_probabilities[t].astype(np.float64)
        got = scorer.score(float(stream.start_seconds[t]), logits, probabilities)
        so_far = np.concatenate([pseudo, stream.selection_logits[: t + 1].astype(np.float64)])
        ones = np.ones_like(so_far)
        expected = frame_scores(so_far, ones, manifest.selection)[-1] * probabilities
        np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_window_scores_are_exactly_those_of_the_window_once_it_is_full() -> None:
    manifest = small_manifest(prior_count=6.0)
    stream = random_stream(9, 60, gaps=False)
    scorer = WindowScorer(manifest, window_seconds=3.9)
    for t in range(60):
        logits = stream.selection_logits[t].astype(np.float64)
        got = scorer.score(float(stream.start_seconds[t]), logits, np.ones(3))
        # Snippets start every 0.4 s: ten of them start within the last 3.9 s.
        window = stream.selection_logits[max(0, t - 9) : t + 1].astype(np.float64)
        if len(window) >= 6:
            expected = frame_scores(window, np.ones_like(window), manifest.selection)[-1]
            np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_a_snippet_that_started_a_window_ago_is_out_of_it() -> None:
    scorer = WindowScorer(small_manifest(), window_seconds=1.0)
    for start_seconds in (0.0, 0.5, 1.0):
        scorer.score(start_seconds, np.zeros(3), np.ones(3))
    assert scorer.state_dict()["starts"].tolist() == [0.5, 1.0]


@pytest.mark.parametrize("longest", [None, 0.8])
@pytest.mark.parametrize("smoothing", [1, 5])
@pytest.mark.parametrize("mode", SCORE_MODES)
def test_events_tell_a_consistent_story(mode: str, smoothing: int, longest: float | None) -> None:
    manifest = small_manifest(smoothing_snippets=smoothing)
    options = DetectorOptions(scores=mode, open_threshold=0.3, maximum_duration_seconds=longest)
    for seed in range(20):
        detector = Detector(manifest, options)
        events = detector.push(random_stream(seed, 80)) + detector.flush()
        started = [e.id for e in events if isinstance(e, StartEvent)]
        finals = [e for e in events if isinstance(e, SegmentEvent) and e.final]
        final = {e.id: e for e in finals}
        assert len(final) == len(finals)
        retracted = {e.id for e in events if isinstance(e, RetractEvent)}
        assert len(set(started)) == len(started)
        if mode == "exact":
            assert set(started) <= set(final) | retracted
        else:
            assert retracted == set()
            assert set(started) == set(final)
        for segment in final.values():
            assert segment.end_seconds - segment.start_seconds > 0.5
        revisions = [(e.id, e.rev) for e in events if isinstance(e, SegmentEvent)]
        assert len(set(revisions)) == len(revisions)
        times = [e.at_seconds for e in events if hasattr(e, "at_seconds")]
        assert times == sorted(times)


def test_labels_and_thresholds_can_be_chosen() -> None:
    stream = random_stream(4, 80)

    def labels_found(options: DetectorOptions) -> set[str]:
        detector = Detector(small_manifest(), options)
        events = detector.push(stream) + detector.flush()
        return {e.label for e in events if isinstance(e, SegmentEvent)}

    assert labels_found(DetectorOptions(scores="causal", open_threshold=0.05)) == set(CLASSES)
    only = DetectorOptions(scores="causal", open_threshold=0.05, labels=("jump",))
    assert labels_found(only) == {"jump"}
    assert labels_found(DetectorOptions(scores="exact", open_threshold=5.0)) == set()


@pytest.mark.parametrize("many", [None, MultiThresholdRule()])
@pytest.mark.parametrize("mode", ["exact", "causal"])
def test_segments_that_score_little_can_be_left_out(
    mode: str, many: MultiThresholdRule | None
) -> None:
    manifest, stream = small_manifest(threshold=0.05, proposals=many), random_stream(4, 120)

    def kept(minimum: float) -> dict[int, SegmentEvent]:
        detector = Detector(manifest, DetectorOptions(scores=mode, minimum_score=minimum))
        found: dict[int, SegmentEvent] = {}
        for event in detector.push(stream) + detector.flush():
            if isinstance(event, SegmentEvent):
                found[event.id] = event
            elif isinstance(event, RetractEvent):
                found.pop(event.id, None)
        return {identity: event for identity, event in found.items() if event.final}

    everything = sorted(one.score for one in kept(0.0).values())
    middle = everything[len(everything) // 2]
    left = [one.score for one in kept(middle).values()]
    assert sorted(left) == [score for score in everything if score >= middle]
    assert 0 < len(left) < len(everything)
    with pytest.raises(UsageError, match="minimum_score must not be negative"):
        DetectorOptions(minimum_score=-0.1)


def test_wrong_choices_are_refused() -> None:
    manifest = small_manifest()
    # A run asks the first before it loads the engine; a detector refuses the same.
    for refuses in (check_options, Detector):
        with pytest.raises(UsageError, match="hop"):
            refuses(manifest, DetectorOptions(labels=("hop",)))
        with pytest.raises(UsageError, match="closing threshold"):
            refuses(manifest, DetectorOptions(open_threshold=0.2, close_threshold=0.3))
    with pytest.raises(UsageError, match="'fast'"):
        DetectorOptions(scores="fast")
    state = Detector(manifest, DetectorOptions(scores="causal")).state_dict()
    with pytest.raises(UsageError, match="other options"):
        Detector(manifest, DetectorOptions(scores="window")).restore(state)
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        Detector(manifest).push(
            SnippetLogits(
                start_seconds=np.zeros(2),
                epoch=np.zeros(2, dtype=np.int64),
                selection_logits=np.zeros((1, 3), dtype=np.float32),
                class_probabilities=np.zeros((2, 3), dtype=np.float32),
            )
        )


def test_an_empty_stream_has_no_segments() -> None:
    for mode in SCORE_MODES:
        assert Detector(small_manifest(), DetectorOptions(scores=mode)).flush() == []


@pytest.mark.parametrize("mode", ["exact", "causal", "window"])
@pytest.mark.parametrize("scale", ["sum_one", "mean_one", "max_one", "soft_gate"])
@pytest.mark.parametrize("weight", [0.0, 0.2, 5.0])
def test_scores_lie_between_0_and_1(mode: str, scale: str, weight: float) -> None:
    """Also of an engine whose frame scores exceed 1, and of probabilities that are rounded up."""
    manifest = small_manifest(
        components=("temporal_softmax",), softmax_scale=scale, threshold=1e-3, prior_count=8
    )
    detection = replace(manifest.detection, video_score_weight=weight)
    detector = Detector(replace(manifest, detection=detection), DetectorOptions(scores=mode))
    random = np.random.default_rng(0)
    events = detector.push(
        SnippetLogits(
            start_seconds=0.4 * np.arange(100),
            epoch=np.zeros(100, dtype=np.int64),
            selection_logits=random.normal(scale=3, size=(100, 3)).astype(np.float32),
            class_probabilities=np.full((100, 3), np.nextafter(np.float32(1), np.float32(2))),
        )
    )
    scores = [e.score for e in events + detector.flush() if isinstance(e, SegmentEvent)]
    assert scores
    assert all(0 <= score <= 1 for score in scores)
