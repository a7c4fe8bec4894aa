"""Streams of engines of every method: causal, window and exact scores, and what exact revises."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from manifests import CLASSES, METHOD_RULES, small_manifest
from real_features import REAL_SETS, random_heads

from wsgn.errors import UsageError
from wsgn.localization.online.scorer import CausalScorer, WindowScorer
from wsgn.localization.scoring import frame_scores, video_scores
from wsgn.localization.segments import Segment
from wsgn.localization.timing import snippet_times
from wsgn.manifest import Manifest, MultiThresholdRule, SelectionRule
from wsgn.prediction.predict import VideoPrediction, predicted_segments
from wsgn.runtime.events import Event, SegmentEvent
from wsgn.runtime.streaming.detector import Detector, SnippetLogits
from wsgn.runtime.streaming.rules import SCORE_MODES, DetectorOptions
from wsgn.support.arrays import Float32Array

MANY = MultiThresholdRule(smoothing_snippets=3)
every_rule = pytest.mark.parametrize("rule", METHOD_RULES.values(), ids=METHOD_RULES)


def random_outputs(seed: int, count: int, rule: SelectionRule) -> tuple[Float32Array, Float32Array]:
    """Slowly varying logits, and what the rule's graph makes of class logits."""
    random = np.random.default_rng(seed)
    x, h = np.cumsum(random.normal(size=(2, count, 3)), axis=1) * 0.5
    return x.astype(np.float32), graph_output(h.astype(np.float32), rule)


def graph_output(h: Float32Array, rule: SelectionRule) -> Float32Array:
    if rule.class_activation == "identity":
        return h
    if rule.class_activation == "sigmoid":
        return (1 / (1 + np.exp(-h))).astype(np.float32)
    return (np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)).astype(np.float32)


def stream_of(
    outputs: tuple[Float32Array, Float32Array], gap_at: int | None = None
) -> SnippetLogits:
    count = len(outputs[0])
    epoch = (np.arange(count) >= (count if gap_at is None else gap_at)).astype(np.int64)
    return SnippetLogits(
        start_seconds=np.arange(count) * 0.4 + 3.0 * epoch,
        epoch=epoch,
        selection_logits=outputs[0],
        class_probabilities=outputs[1],
    )


def part(stream: SnippetLogits, start: int, end: int) -> SnippetLogits:
    return SnippetLogits(**{name: value[start:end] for name, value in vars(stream).items()})


def final_segments(
    manifest: Manifest, stream: SnippetLogits, options: DetectorOptions | None = None
) -> list[Segment]:
    detector = Detector(manifest, options)
    events = detector.push(stream) + detector.flush()
    return [
        Segment(
            label=e.label, start_seconds=e.start_seconds, end_seconds=e.end_seconds, score=e.score
        )
        for e in events
        if isinstance(e, SegmentEvent) and e.final
    ]


@every_rule
@pytest.mark.parametrize("mode", SCORE_MODES)
def test_any_chopping_and_any_restore_give_the_same_events(mode: str, rule: SelectionRule) -> None:
    manifest = small_manifest(selection=rule, proposals=MANY, threshold=0.15, smoothing_snippets=3)
    options = DetectorOptions(scores=mode, window_seconds=5.0)
    stream = stream_of(random_outputs(2, 60, rule), gap_at=40)
    whole = Detector(manifest, options)
    expected = whole.push(stream) + whole.flush()
    assert any(isinstance(event, SegmentEvent) for event in expected)
    detector = Detector(manifest, options)
    events: list[Event] = []
    for start, end in itertools.pairwise([0, 1, 17, 17, 41, 60]):
        state = detector.state_dict()
        detector = Detector(manifest, options)
        detector.restore(state)
        events += detector.push(part(stream, start, end))
    assert events + detector.flush() == expected


def offline_segments(manifest: Manifest, stream: SnippetLogits) -> list[Segment]:
    """As training and wsgn-predict find them."""
    rule, outputs = manifest.selection, (stream.selection_logits, stream.class_probabilities)
    scores = frame_scores(*outputs, rule)
    is_mean = rule.video_score.pooling == "frame_scores"
    prediction = VideoPrediction(
        name="video",
        times=snippet_times(stream.start_seconds, stream.epoch, manifest.sampling),
        selection_logits=outputs[0].astype(np.float64),
        class_probabilities=outputs[1].astype(np.float64),
        scores=scores,
        video_scores=None if is_mean else video_scores(*outputs, rule, scores),
        rule=rule,
    )
    return predicted_segments(prediction, CLASSES, manifest.proposals or manifest.detection)


many_or_one = pytest.mark.parametrize("many", [MANY, None], ids=["many thresholds", "one"])


@every_rule
@many_or_one
def test_at_the_end_of_a_stream_exact_is_offline_to_the_last_bit(
    many: MultiThresholdRule | None, rule: SelectionRule
) -> None:
    manifest = small_manifest(selection=rule, proposals=many, threshold=0.1, smoothing_snippets=3)
    count = 0
    for seed in range(5):
        stream = stream_of(random_outputs(seed, 70, rule), gap_at=50)
        found = final_segments(manifest, stream)
        assert found == offline_segments(manifest, stream)
        count += len(found)
    assert count > 10


@every_rule
@many_or_one
@pytest.mark.parametrize("name", REAL_SETS)
def test_so_it_is_on_real_features(
    name: str, many: MultiThresholdRule | None, rule: SelectionRule
) -> None:
    x, h = random_heads(name)
    manifest = small_manifest(selection=rule, proposals=many, threshold=0.1)
    stream = stream_of((x, graph_output(h, rule)))
    found = final_segments(manifest, stream)
    assert found == offline_segments(manifest, stream)
    assert found


@every_rule
def test_causal_scores_are_those_of_a_plain_loop(rule: SelectionRule) -> None:
    """The prior is two snippets before the stream, but for the mean weights that it names."""
    x, p = random_outputs(4, 25, rule)
    prior = small_manifest(selection=rule).prior
    spread = np.sqrt(prior.variance)
    before = np.array([prior.mean - spread, prior.mean + spread])
    sums = 2 * np.array([prior.mean_local, prior.mean_global])
    prior = replace(
        prior,
        count=2.0,
        log_mean_exponential=tuple(np.log(np.exp(before).mean(axis=0))),
        maximum=tuple(before.max(axis=0)),
    )
    scorer = CausalScorer(replace(small_manifest(selection=rule), prior=prior))
    for t in range(len(x)):
        now = x[t].astype(np.float64)
        known = np.concatenate([before, x[: t + 1].astype(np.float64)])
        z = np.exp(-((now - known.mean(axis=0)) ** 2) / (known.var(axis=0) + 1e-6))
        l = np.exp(-(((now - rule.global_mean) / rule.global_std) ** 2))  # noqa: E741
        q = np.exp(now) / np.exp(known).sum(axis=0)
        sums += z, l
        per_frame = {
            "local_gaussian": z,
            "global_gaussian": l,
            "temporal_softmax": np.exp(now - known.max(axis=0)),
            "attention": 1 / (1 + np.exp(-now)),
        }
        n = len(known)
        average = {
            "local_gaussian": n * z / sums[0],
            "global_gaussian": n * l / sums[1],
            "temporal_softmax": n * q,
        }
        is_average = rule.weight_scale == "average" and rule.gate != "product"
        parts = average if is_average else per_frame
        w = np.mean([np.ones(3)] if not rule.components else [parts[c] for c in rule.components], 0)
        gated = {
            "none": w,
            "product": w,
            "cut": np.minimum(w, 1),
            "soft": w / (w + 0.1),
            "hard": 1.0 * (w >= 0.1),
        }
        wanted = gated[rule.gate] * np.maximum(p[t].astype(np.float64), 0.0)
        got = scorer.score(0.4 * t, now, p[t].astype(np.float64))
        np.testing.assert_allclose(got, wanted, rtol=1e-9)


@every_rule
def test_a_window_that_holds_all_is_the_whole_video(rule: SelectionRule) -> None:
    x, p = random_outputs(6, 20, rule)
    scorer = WindowScorer(small_manifest(selection=rule, prior_count=4.0), window_seconds=1000.0)
    for t in range(20):
        got = scorer.score(0.4 * t, x[t].astype(np.float64), p[t].astype(np.float64))
        if t >= 3:
            wanted = frame_scores(x[: t + 1], p[: t + 1], rule)[-1]
            np.testing.assert_allclose(got, wanted, rtol=1e-9)


def test_the_prior_fills_up_a_window_with_its_mean_weights() -> None:
    """A first logit of 0, and three snippets of the prior."""
    rule = METHOD_RULES["wsgn, average of logits"]
    prior = small_manifest(selection=rule).prior
    mean = 3 * np.array(prior.mean) / 4
    variance = 3 * (np.array(prior.variance) + np.square(prior.mean)) / 4 - mean**2
    z = np.exp(-(mean**2) / (variance + rule.variance_epsilon))
    l = np.exp(-((np.array(rule.global_mean) / rule.global_std) ** 2))  # noqa: E741
    wanted = {
        "local_gaussian": 4 * z / (3 * np.array(prior.mean_local) + z),
        "global_gaussian": 4 * l / (3 * np.array(prior.mean_global) + l),
    }
    for component, weight in wanted.items():
        one = replace(rule, components=(component,))
        scorer = WindowScorer(small_manifest(selection=one, prior_count=4.0), window_seconds=1000.0)
        np.testing.assert_allclose(scorer.score(0.0, np.zeros(3), np.ones(3)), weight)


@every_rule
@pytest.mark.parametrize("mode", SCORE_MODES)
@many_or_one
def test_reported_scores_lie_between_0_and_1(
    mode: str, rule: SelectionRule, many: MultiThresholdRule | None
) -> None:
    manifest = small_manifest(selection=rule, proposals=many, threshold=0.05)
    detector = Detector(manifest, DetectorOptions(scores=mode))
    events = detector.push(stream_of(random_outputs(1, 80, rule))) + detector.flush()
    scores = [event.score for event in events if isinstance(event, SegmentEvent)]
    assert scores
    assert 0 <= min(scores) <= max(scores) <= 1
    if not rule.is_bounded:
        assert max(scores) < 1


class TestOptions:
    """What a user chooses beside an engine that cuts whole videos at many thresholds."""

    rule = METHOD_RULES["wsgn, top"]
    manifest = small_manifest(selection=rule, proposals=MANY, threshold=0.3)
    stream = stream_of(random_outputs(3, 80, rule))

    def found(self, **choices: object) -> list[Segment]:
        options = DetectorOptions(**choices)  # type: ignore[arg-type]
        return final_segments(self.manifest, self.stream, options)

    def test_a_threshold_takes_the_place_of_all(self) -> None:
        one = replace(self.manifest, proposals=None)
        options = DetectorOptions(open_threshold=0.5, close_threshold=0.4)
        expected = final_segments(one, self.stream, options)
        assert self.found(open_threshold=0.5, close_threshold=0.4) == expected
        assert expected

    def test_a_threshold_of_one_class_is_of_that_class_alone(self) -> None:
        def of(label: str, segments: list[Segment]) -> list[Segment]:
            return [segment for segment in segments if segment.label == label]

        mixed, many = self.found(open_threshold={"jump": 0.5}), self.found()
        assert of("jump", mixed) == of("jump", self.found(open_threshold=0.5))
        for label in ("wave", "bow"):
            assert of(label, mixed) == of(label, many) != []
        assert mixed == sorted(mixed, key=lambda s: (s.start_seconds, CLASSES.index(s.label)))

    def test_labels_choose_and_change_nothing_else(self) -> None:
        expected = [segment for segment in self.found() if segment.label != "wave"]
        assert self.found(labels=("bow", "jump")) == expected

    def test_durations_and_gaps_are_of_each_threshold(self) -> None:
        spans = [s.end_seconds - s.start_seconds for s in self.found()]
        assert min(spans) < 2.0 < max(spans)
        long = [s.end_seconds - s.start_seconds for s in self.found(minimum_duration_seconds=2.0)]
        short = [s.end_seconds - s.start_seconds for s in self.found(maximum_duration_seconds=2.0)]
        assert min(long) > 2.0 >= max(short)
        assert len(self.found(merge_gap_seconds=30.0)) < len(spans)

    def test_a_closing_threshold_alone_is_refused_where_it_means_nothing(self) -> None:
        with pytest.raises(UsageError, match="opening threshold too, or choose causal"):
            Detector(self.manifest, DetectorOptions(close_threshold=0.1))
        Detector(self.manifest, DetectorOptions(close_threshold=0.1, scores="causal"))

    def test_the_video_score_is_that_of_the_engine(self) -> None:
        """A class under the gate of the whole video's score is not there, though it plays."""
        strict = replace(MANY, video_score_gate=1.0)
        found = final_segments(replace(self.manifest, proposals=strict), self.stream)
        outputs = self.stream.selection_logits, self.stream.class_probabilities
        pooled = video_scores(*outputs, self.rule, frame_scores(*outputs, self.rule))
        assert {segment.label for segment in found} == {CLASSES[int(pooled.argmax())]}


def test_the_middle_threshold_takes_the_video_scores_of_the_rule() -> None:
    """Pooled of the largest, a class that is seldom there reaches the gate."""
    top, per_frame = METHOD_RULES["wsgn, top"], METHOD_RULES["wsgn, per frame"]
    p = np.full((60, 3), 0.01, dtype=np.float32)
    p[:, 0] = np.linspace(0.5, 0.9, 60)
    p[30:34, 1] = 0.9
    stream = stream_of((np.zeros((60, 3), dtype=np.float32), p))
    labels = []
    for rule in (top, replace(top, video_score=per_frame.video_score)):
        found = final_segments(small_manifest(selection=rule), stream)
        labels.append({segment.label for segment in found})
    assert labels == [{"wave", "jump"}, {"wave"}]
