"""What a detector refuses from a host: numbers that are none, clocks that fall, damaged states."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from manifests import small_manifest

from wsgn.errors import UsageError
from wsgn.runtime import Detector, DetectorOptions, SnippetLogits
from wsgn.runtime.events import SegmentEvent

MODES = ("exact", "causal", "window")
NUM = 40
MANIFEST = small_manifest(threshold=0.1, smoothing_snippets=3)


def snippets(count: int = NUM, *, first: int = 0, epoch: int = 0) -> SnippetLogits:
    """Every 0.4 s; the classes take turns."""
    random = np.random.default_rng(first)
    probabilities = np.full((count, 3), 0.05, dtype=np.float32)
    probabilities[np.arange(count), np.arange(first, first + count) // 8 % 3] = 0.9
    return SnippetLogits(
        start_seconds=0.4 * np.arange(first, first + count),
        epoch=np.full(count, epoch, dtype=np.int64),
        selection_logits=random.normal(size=(count, 3)).astype(np.float32),
        class_probabilities=probabilities,
    )


def detector(mode: str) -> Detector:
    return Detector(MANIFEST, DetectorOptions(scores=mode))


def changed(name: str, index: Any, value: object) -> SnippetLogits:
    array = np.array(getattr(snippets(), name))
    array[index] = value
    return replace(snippets(), **{name: array})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (changed("selection_logits", (3, 1), np.nan), "selection_logits must be finite"),
        (changed("selection_logits", 39, np.inf), "selection_logits must be finite"),
        (changed("selection_logits", (0, 2), -np.inf), "selection_logits must be finite"),
        (
            replace(snippets(), selection_logits=np.full((NUM, 3), 1e300)),
            "selection_logits must be finite",
        ),
        (changed("class_probabilities", (5, 0), np.nan), "class_probabilities must be finite"),
        (changed("start_seconds", 7, np.nan), "start_seconds must be finite"),
        (changed("start_seconds", 39, np.inf), "start_seconds must be finite"),
        # A clock that starts anew, that stands still, and that falls by a little.
        (
            changed("start_seconds", slice(20, None), 0.4 * np.arange(20)),
            "must rise within an epoch",
        ),
        (changed("start_seconds", 8, 0.4 * 7), "must rise within an epoch"),
        (changed("start_seconds", 8, 0.4 * 8 + 0.5), r"first is number 9 of 40"),
        (changed("epoch", slice(0, 10), 1), "epoch must not fall"),
        (replace(snippets(), start_seconds=np.zeros((NUM, 1))), "start_seconds must have shape"),
        (replace(snippets(), epoch=np.zeros(NUM - 1, dtype=np.int64)), "epoch must have shape"),
        (replace(snippets(), start_seconds=np.float64(0.4)), r"start_seconds must have .*got \(\)"),
        (replace(snippets(), epoch=np.array(None)), "epoch must be real numbers, got object"),
        (
            replace(snippets(), start_seconds=np.arange(NUM).astype("U9")),
            "start_seconds must be real numbers, got <U9",
        ),
        (
            replace(snippets(), selection_logits=np.zeros((NUM, 3), dtype=np.complex64)),
            "selection_logits must be real numbers, got complex64",
        ),
    ],
)
def test_what_no_engine_and_no_clock_gives_is_refused_and_nothing_of_it_taken(
    mode: str, bad: SnippetLogits, words: str
) -> None:
    """The same events as if it had never been pushed."""
    tried, other = detector(mode), detector(mode)
    with pytest.raises(ValueError, match=words):
        tried.push(bad)
    good = snippets()
    assert tried.push(good) + tried.flush() == other.push(good) + other.flush()


@pytest.mark.parametrize("mode", MODES)
def test_times_must_rise_from_push_to_push(mode: str) -> None:
    tried = detector(mode)
    tried.push(snippets(10))
    for bad in (snippets(10), snippets(10, first=9), snippets(1, first=9)):
        with pytest.raises(ValueError, match="must rise within an epoch"):
            tried.push(bad)
    # Behind a gap the clock is a new one; nothing is a push too.
    tried.push(snippets(10, epoch=1))
    assert tried.push(snippets(0, epoch=1)) == []
    with pytest.raises(ValueError, match="epoch must not fall"):
        tried.push(snippets(10, first=50))
    tried.restore(tried.state_dict())
    with pytest.raises(ValueError, match="must rise within an epoch"):
        tried.push(snippets(10, epoch=1))


def _flip(array: np.ndarray[Any, Any], random: np.random.Generator) -> np.ndarray[Any, Any]:
    data = bytearray(array.tobytes())
    if not data:
        return array.astype(np.complex128)
    data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    return np.frombuffer(bytes(data), dtype=array.dtype).reshape(array.shape)


DAMAGES: list[Callable[[np.ndarray[Any, Any], np.random.Generator], Any]] = [
    _flip,
    lambda array, random: None,
    lambda array, random: np.concatenate([np.ravel(array), np.ravel(array)]),
    lambda array, random: np.ravel(array)[:-1],
    lambda array, random: np.array(array, dtype=object),
    lambda array, random: array.astype(np.float16) + 1,
    lambda array, random: np.full_like(array, 1) + array,
    lambda array, random: np.array(["text"]),
    lambda array, random: np.full(np.shape(array), np.nan),
    lambda array, random: array[..., None],
]


@pytest.mark.parametrize("mode", MODES)
def test_no_damaged_state_is_gone_on_from(mode: str) -> None:
    source = detector(mode)
    source.push(snippets(30))
    state = source.state_dict()
    tried, other = detector(mode), detector(mode)
    random = np.random.default_rng(0)
    for name in state:
        for damage in DAMAGES:
            harmed = dict(state)
            value = damage(state[name], random)
            if value is None:
                del harmed[name]
            elif np.array_equal(value, state[name]) and value.dtype == state[name].dtype:
                continue
            else:
                harmed[name] = value
            with pytest.raises(UsageError) as caught:
                tried.restore(harmed)
            assert str(caught.value).count("\n") == 0
    with pytest.raises(UsageError):
        tried.restore(state | {"more": np.zeros(1)})
    # Whole in itself, and not as it was.
    good = snippets()
    assert tried.push(good) + tried.flush() == other.push(good) + other.flush()
    tried = detector(mode)
    tried.restore(state)
    rest = snippets(10, first=30)
    events = tried.push(rest) + tried.flush()
    assert events == source.push(rest) + source.flush()
    assert any(isinstance(event, SegmentEvent) for event in events)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_snippets", np.array(3)),
        ("score_total", np.array([np.nan, 0.0, 0.0])),
        ("score_total", np.zeros(4)),
        ("open_ids", np.array([7, 7, 7])),
        ("next_id", np.array(0)),
        ("smoother.given", np.array(99)),
        ("smoother.rows", np.zeros((2, 5))),
        ("segmenter.start", np.full(3, np.inf)),
        ("segmenter.is_open", np.zeros(3)),
        ("scorer.mean", np.full(3, np.nan)),
        ("history.epochs", np.zeros(2, dtype=np.int64)),
        ("history.provisional", np.full((1, 5), 9.0)),
    ],
)
def test_a_state_that_a_program_made_is_looked_at_too(
    mode: str, name: str, value: np.ndarray[Any, Any]
) -> None:
    """With a checksum of its own, as a mistaken host may make it."""
    from wsgn.localization.online.state import sealed

    source = detector(mode)
    source.push(snippets(30))
    state = source.state_dict()
    if name not in state:
        pytest.skip(f"{mode} mode holds no {name}")
    del state["checksum"]
    if mode != "exact" and name == "num_snippets":
        pytest.skip("only exact mode counts them twice")
    with pytest.raises(UsageError, match="the saved state is damaged"):
        detector(mode).restore(sealed(state | {name: value}))


def test_an_archive_that_cannot_be_read_is_a_sentence() -> None:
    source = detector("causal")
    source.push(snippets(30))
    file = io.BytesIO()
    np.savez(file, **source.state_dict())
    content = bytearray(file.getvalue())
    refused = 0
    for place in range(0, len(content), 37):
        harmed = bytes(content[:place]) + bytes([content[place] ^ 0x55]) + content[place + 1 :]
        tried = detector("causal")
        try:
            with np.load(io.BytesIO(harmed), allow_pickle=False) as state:
                tried.restore(state)
        except UsageError:
            refused += 1
        # NumPy's own, before it is a state.
        except Exception:
            continue
        else:
            assert tried.push(snippets(5, first=30)) == detector_after(source, 30)
    assert refused > 0


def detector_after(source: Detector, first: int) -> list[Any]:
    other = detector("causal")
    other.restore(source.state_dict())
    return list(other.push(snippets(5, first=first)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_thresholds_that_are_no_numbers_are_refused(value: float) -> None:
    """They would find nothing, and say nothing."""
    for changes in ({"open_threshold": value}, {"open_threshold": {"wave": value}}):
        with pytest.raises(UsageError, match="must be a finite number"):
            DetectorOptions(**changes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must be a finite number"):
        DetectorOptions(close_threshold=value)
