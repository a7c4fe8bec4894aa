"""Causal scores of streams in ONNX Runtime, however a stream is chopped into calls.

The graph and its state are float32. A snippet's score compares its logit with a mean that is
rounded, in units of the spread: with logits of about 1 the errors seen are 2e-7 of the largest
score in one call, and 2e-6 after 20,000 calls of one snippet, whose roundings add up. Tolerances
are ten times that or more; for logits far from 0 they follow from the rounding of the mean.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scores import plain_causal_scores, plain_scores
from selection_sessions import (
    AVERAGE_RULES,
    MU,
    NO_PRIOR,
    NUM_CLASSES,
    OTHER_RULES,
    PRIOR,
    RULES,
    SIGMA,
    rule_name,
    streaming_session,
)
from toy import ToySource, feature_model, short_training

from wsgn.checkpoint import load_checkpoint
from wsgn.export.graphs.document import describe as describe_model
from wsgn.export.graphs.document import export_graph, exportable
from wsgn.export.graphs.streaming_selection import CALLS, streaming_selection_function
from wsgn.localization.online.scorer import CausalScorer
from wsgn.localization.streaming_state import state_rows, whole_video_scores
from wsgn.manifest import AVERAGE, COMPONENTS, Manifest, Prior, SelectionRule
from wsgn.support.arrays import AnyArray
from wsgn.training.run import run_training
from wsgn.training.trainer import Trainer

TOLERANCE = 1e-5
LONG_TOLERANCE = 2e-5
Session = onnxruntime.InferenceSession

# What the class probabilities are made by is not the function's affair.
STREAM_RULES = [rule for rule in RULES if rule.class_activation == "softmax"]
FULL_RULES = [rule for rule in STREAM_RULES if rule.components == COMPONENTS]
NEW_RULES = [*AVERAGE_RULES, *OTHER_RULES]
FULL_AVERAGES = [rule for rule in AVERAGE_RULES if rule.components == COMPONENTS]


def no_state(num_streams: int, rule: SelectionRule = FULL_RULES[0]) -> AnyArray:
    return np.zeros((num_streams, len(state_rows(rule)), NUM_CLASSES), dtype=np.float32)


def run(session: Session, x: AnyArray, p: AnyArray, state: AnyArray) -> tuple[AnyArray, AnyArray]:
    given_values = {"selection_logits": x, "class_probabilities": p, "state": state}
    scores, next_state = session.run(["scores", "next_state"], given_values)
    assert scores.dtype == next_state.dtype == np.float32
    return scores, next_state


def run_chopped(
    session: Session, x: AnyArray, p: AnyArray, cuts: list[int]
) -> tuple[AnyArray, AnyArray]:
    """Scores (B, N, C) and last state of streams that come in pieces, cut at the given places."""
    shapes = {value.name: value.shape for value in session.get_inputs()}
    state, parts = np.zeros((len(x), *shapes["state"][1:]), dtype=np.float32), []
    bounds = [0, *sorted(set(cuts) - {0, x.shape[1]}), x.shape[1]]
    for start, end in itertools.pairwise(bounds):
        scores, state = run(session, x[:, start:end], p[:, start:end], state)
        parts.append(scores)
    return np.concatenate(parts, axis=1), state


def causal(x: AnyArray, p: AnyArray, rule: SelectionRule, prior: Prior = PRIOR) -> AnyArray:
    """Scores (T, C) by the past alone."""
    return plain_causal_scores(x, p, rule, prior)


def exact(x: AnyArray, p: AnyArray, rule: SelectionRule) -> AnyArray:
    """Scores (T, C) of a whole video."""
    return plain_scores(x, p, rule)[0]


def random_streams(num_streams: int, length: int, seed: int = 0) -> tuple[AnyArray, AnyArray]:
    random = np.random.default_rng([seed, num_streams, length])
    x = random.normal(size=(num_streams, length, NUM_CLASSES)) * 1.5 + 0.5
    return x.astype(np.float32), random.random(size=x.shape).astype(np.float32)


def assert_close(found: AnyArray, wanted: AnyArray, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(
        found, wanted, rtol=0, atol=tolerance * max(1.0, np.abs(wanted).max())
    )


@pytest.mark.parametrize("prior", [PRIOR, NO_PRIOR], ids=["prior", "no-prior"])
@pytest.mark.parametrize("rule", [*STREAM_RULES, *NEW_RULES], ids=rule_name)
def test_every_rule_scores_by_the_past(rule: SelectionRule, prior: Prior) -> None:
    session = streaming_session(rule, prior)
    for shape in ((1, 1), (3, 2), (2, 63), (1, 130)):
        x, p = random_streams(*shape)
        p = 4 * p - 2 if rule.class_activation == "identity" else p
        scores, state = run(session, x, p, no_state(len(x), rule))
        for b in range(len(x)):
            assert_close(scores[b], causal(x[b], p[b], rule, prior))
            assert_close(whole_video_scores(x[b], p[b], state[b], rule), exact(x[b], p[b], rule))


@pytest.mark.parametrize(
    "rule", [*FULL_RULES, *FULL_AVERAGES, *NEW_RULES[-2:], STREAM_RULES[0]], ids=rule_name
)
def test_without_a_loop_it_scores_the_same(rule: SelectionRule) -> None:
    """Against the past alone, and beside the graph with a Loop, in one call and in several."""
    looped, masked, single = (streaming_session(rule, calls=calls) for calls in CALLS)
    for shape, cuts in (((1, 1), []), ((3, 2), [1]), ((2, 63), [1, 17, 18]), ((1, 130), [])):
        x, p = random_streams(*shape)
        p = 4 * p - 2 if rule.class_activation == "identity" else p
        wanted, wanted_state = run_chopped(looped, x, p, cuts)
        for session, places in ((masked, cuts), (single, list(range(shape[1])))):
            scores, state = run_chopped(session, x, p, places)
            assert_close(scores, wanted)
            assert_close(state, wanted_state)
            for b in range(len(x)):
                assert_close(scores[b], causal(x[b], p[b], rule))


def test_only_calls_of_any_number_have_a_loop() -> None:
    operators = [
        {node.op_type for node in streaming_selection_function(FULL_RULES[0], calls=calls).node}
        for calls in CALLS
    ]
    assert ["Loop" in found for found in operators] == [True, False, False]


@pytest.mark.parametrize("rule", [*FULL_RULES, FULL_AVERAGES[1], FULL_AVERAGES[4]], ids=rule_name)
@given(
    length=st.integers(1, 90),
    cuts=st.lists(st.integers(1, 89), max_size=12),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_any_chopping_gives_the_same(
    rule: SelectionRule, length: int, cuts: list[int], seed: int
) -> None:
    session = _cached_session(rule)
    x, p = random_streams(2, length, seed)
    scores, state = run_chopped(session, x, p, [cut for cut in cuts if cut < length])
    for b in range(2):
        assert_close(scores[b], causal(x[b], p[b], rule))
        assert_close(whole_video_scores(x[b], p[b], state[b], rule), exact(x[b], p[b], rule))


_SESSIONS: dict[str, Session] = {}


def _cached_session(rule: SelectionRule) -> Session:
    name = rule_name(rule)
    if name not in _SESSIONS:
        _SESSIONS[name] = streaming_session(rule)
    return _SESSIONS[name]


def long_causal(x: AnyArray, p: AnyArray, rule: SelectionRule) -> AnyArray:
    """`causal` for mean_one by running sums in extended precision: logits of about 1 only."""
    wide = x.astype(np.longdouble)
    n0, count = PRIOR.count, np.arange(1, len(x) + 1)[:, None] + PRIOR.count
    mean0 = np.asarray(PRIOR.mean)
    mean = (wide.cumsum(axis=0) + n0 * mean0) / count
    squares = (wide**2).cumsum(axis=0) + n0 * (np.asarray(PRIOR.variance) + mean0**2)
    variance = squares / count - mean**2
    total = np.exp(wide).cumsum(axis=0) + n0 * np.exp(np.asarray(PRIOR.log_mean_exponential))
    local = np.exp(-((wide - mean) ** 2) / (variance + rule.variance_epsilon))
    of_all = np.exp(-(((wide - MU) / SIGMA) ** 2))
    if rule.weight_scale == AVERAGE:
        local = local * count / (local.cumsum(axis=0) + n0 * np.asarray(PRIOR.mean_local))
        of_all = of_all * count / (of_all.cumsum(axis=0) + n0 * np.asarray(PRIOR.mean_global))
    scores = (local + of_all + np.exp(wide) * count / total) / 3 * np.maximum(p, 0)
    return scores.astype(np.float64)


LONG_RULES = [
    *(rule for rule in FULL_RULES if rule.softmax_scale == "mean_one"),
    *(rule for rule in FULL_AVERAGES if rule.gate == "none"),
]


@pytest.mark.parametrize("calls", ["one", "few", "many", "single snippets"])
@pytest.mark.parametrize(
    ("rule", "length"), [(LONG_RULES[0], 1000), (LONG_RULES[1], 1000), (LONG_RULES[1], 20_000)]
)
def test_long_streams(rule: SelectionRule, length: int, calls: str) -> None:
    x, p = random_streams(2, length)
    random = np.random.default_rng(length)
    num_cuts = {"one": 0, "few": 5, "many": length // 20, "single snippets": length}[calls]
    cuts = list(range(length)) if num_cuts == length else random.integers(length, size=num_cuts)
    scores, state = run_chopped(streaming_session(rule), x, p, [int(cut) for cut in cuts])
    for b in range(2):
        assert state[b, 0].tolist() == [length] * NUM_CLASSES
        assert_close(scores[b], long_causal(x[b], p[b], rule), LONG_TOLERANCE)
        by_state = whole_video_scores(x[b], p[b], state[b], rule)
        assert_close(by_state, exact(x[b], p[b], rule), LONG_TOLERANCE)


# (spread of the logits, what they lie around).
HOSTILE = [(1e4, 0.0), (1.0, 100.0), (1.0, 1e4), (1.0, -1e4), (0.0, 1234.567)]


@pytest.mark.parametrize("prior", [PRIOR, NO_PRIOR], ids=["prior", "no-prior"])
@pytest.mark.parametrize("rule", [*FULL_RULES, FULL_AVERAGES[0], FULL_AVERAGES[1]], ids=rule_name)
@pytest.mark.parametrize(("spread", "offset"), HOSTILE)
def test_hostile_logits(rule: SelectionRule, spread: float, offset: float, prior: Prior) -> None:
    noise, p = random_streams(1, 65)
    x = (noise * spread + offset).astype(np.float32)
    scores, _ = run_chopped(streaming_session(rule, prior), x, p, [1, 20, 21])
    # A mean is rounded to 24 bits a few times over, and a score moves by 0.9 at most for every unit
    # of spread that its distance from the mean does. A mean of equal logits is never rounded.
    rounding = 8 * 2.0**-24 * abs(offset) / spread if spread else 0.0
    assert_close(scores[0], causal(x[0], p[0], rule, prior), TOLERANCE + rounding)


def test_streams_of_a_batch_stay_apart() -> None:
    """Streams begin and end at different times, and change places in the batch."""
    rule = FULL_RULES[0]
    session = streaming_session(rule)
    (x, p), (first, second, third) = random_streams(3, 30), (0, 1, 2)
    state = no_state(3)
    found: dict[int, list[AnyArray]] = {first: [], second: [], third: []}
    done = {first: 0, second: 0, third: 0}
    for batch in ([first], [second, first], [third, second, first], [first, third], [second]):
        rows = [slice(done[b], done[b] + 6) for b in batch]
        parts = [np.stack([a[b, r] for b, r in zip(batch, rows, strict=True)]) for a in (x, p)]
        scores, next_state = run(session, parts[0], parts[1], state[batch])
        for place, b in enumerate(batch):
            state[b] = next_state[place]
            done[b] += 6
            found[b].append(scores[place])
    assert done == {first: 24, second: 18, third: 12}
    for b, parts in found.items():
        wanted = causal(x[b], p[b], rule)[: done[b]]
        assert_close(np.concatenate(parts), wanted)


def test_another_session_goes_on_from_a_state() -> None:
    rule = FULL_RULES[0]
    x, p = random_streams(1, 40)
    before, state = run(streaming_session(rule), x[:, :17], p[:, :17], no_state(1))
    kept = np.frombuffer(state.tobytes(), dtype=np.float32).reshape(state.shape)
    after, _ = run(streaming_session(rule), x[:, 17:], p[:, 17:], kept)
    assert_close(np.concatenate([before, after], axis=1)[0], causal(x[0], p[0], rule))


def test_a_zero_state_forgets_everything() -> None:
    session = streaming_session(FULL_RULES[0], NO_PRIOR)
    x, p = random_streams(1, 9)
    _, used = run(session, x + 50, p, no_state(1))
    fresh, _ = run(session, x, p, no_state(1))
    continued, _ = run(session, x, p, used)
    again, _ = run(session, x, p, np.zeros_like(used))
    assert np.array_equal(fresh, again)
    assert np.abs(fresh - continued).max() > 0.1


def test_the_state_is_what_it_says() -> None:
    x, p = random_streams(1, 50)
    wide = x[0].astype(np.float64)
    wanted = [
        np.full(NUM_CLASSES, 50.0),
        wide.mean(axis=0),
        wide.var(axis=0) * 50,
        wide.max(axis=0),
        np.exp(wide - wide.max(axis=0)).sum(axis=0),
    ]
    _, state = run_chopped(streaming_session(FULL_RULES[0]), x, p, [3, 20])
    np.testing.assert_allclose(state[0], wanted, rtol=1e-6)
    # Without a prior a weight of one component is its value over the mean of those so far.
    local, of_all = (
        replace(FULL_AVERAGES[0], components=(name,), gate="product") for name in COMPONENTS[:2]
    )
    for row, rule in ((5, local), (6, of_all)):
        ones = np.ones_like(p)
        values, state = run_chopped(streaming_session(rule, NO_PRIOR), x, ones, [3, 20])
        np.testing.assert_allclose(state[0, :5], wanted, rtol=1e-6)
        np.testing.assert_allclose(state[0, row], values[0].sum(axis=0), rtol=1e-6)
        assert not state[0, 11 - row].any()


def test_a_trained_model_streams_as_the_runtime_scores(tmp_path: Path) -> None:
    source = ToySource(9)
    path = run_training(Trainer(feature_model(), short_training(), source), tmp_path)
    checkpoint = load_checkpoint(path)
    manifest: Manifest = describe_model(checkpoint, checkpoint.build())
    assert manifest.prior.count > 0
    document = export_graph(exportable(checkpoint), "streaming").SerializeToString()
    session = Session(document, providers=["CPUExecutionProvider"])
    scorer, state = CausalScorer(manifest), no_state(1)
    features = source.load(0).inputs.numpy()
    for part in np.split(features, [1, 5, 6, 20]):
        x, p, scores, state = session.run(None, {"features": part[None], "state": state})
        wanted = [
            scorer.score(0.0, *row)
            for row in zip(x[0].astype(np.float64), p[0].astype(np.float64), strict=True)
        ]
        assert_close(scores[0], np.stack(wanted))
