"""Snippet logits in, detection events out: one stream's whole state, no threads, clocks or I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wsgn.errors import UsageError
from wsgn.localization.online.scorer import CausalScorer, WindowScorer
from wsgn.localization.online.segmenter import Boundary, Closing, OnlineSegmenter, Opening
from wsgn.localization.online.smoother import Smoother, SnippetScore
from wsgn.localization.online.state import (
    SavedState,
    State,
    Stateful,
    damaged,
    opened,
    read_arrays,
    sealed,
)
from wsgn.localization.scoring import bounded
from wsgn.localization.segments import SnippetTimes, segment_score
from wsgn.localization.timing import snippet_centre_seconds, snippet_duration_seconds
from wsgn.manifest import Manifest
from wsgn.support.arrays import BoolArray, Float32Array, FloatArray, IntArray, UInt8Array

from ..events import Event, RetractEvent, SegmentEvent, StartEvent
from .history import History
from .rules import DetectorOptions, online_rule
from .whole_video import Scorer, final_segments

# 2 has a checksum.
STATE_VERSION = 2
# Fields of SnippetLogits (n, C).
_OUTPUTS = ("selection_logits", "class_probabilities")


@dataclass(frozen=True, kw_only=True)
class SnippetLogits:
    """An engine's outputs for n consecutive snippets of one stream."""

    # (n,) media seconds of the start of each snippet's first frame.
    start_seconds: FloatArray
    # (n,) rises by one at each gap of the source.
    epoch: IntArray
    # (n, C) each.
    selection_logits: Float32Array
    class_probabilities: Float32Array


class Detector:
    """Finds segments in one stream of snippets.

    Any chopping of the input into pushes gives the same events. In the modes `causal` and `window`
    every segment is final. In `exact` mode segments are provisional while the stream plays (from
    causal scores); `flush` scores the whole stream once more, as in training, and revises them.

    Args:
        manifest: of the engine whose outputs are pushed.
        options: what is looked for and how; by default the engine's own values.
        scorer: scores whole streams in `exact` mode; by default NumPy does.

    Raises:
        UsageError: options that do not fit the engine.
    """

    def __init__(
        self,
        manifest: Manifest,
        options: DetectorOptions | None = None,
        *,
        scorer: Scorer | None = None,
    ) -> None:
        self._manifest = manifest
        self._whole_scorer = scorer
        self._options = options or DetectorOptions()
        self._segmenter = OnlineSegmenter(online_rule(manifest, self._options))
        self._scorer: CausalScorer | WindowScorer = CausalScorer(manifest)
        if self._options.scores == "window":
            self._scorer = WindowScorer(manifest, self._options.window_seconds)
        self._smoother = Smoother(manifest.detection.smoothing_snippets, len(manifest.classes))
        is_exact = self._options.scores == "exact"
        self._history = History(manifest, scorer) if is_exact else None
        self._num_classes = len(manifest.classes)
        self._num_snippets = 0
        self._score_total = np.zeros(self._num_classes)
        self._epoch = 0
        self._at_seconds = 0.0
        # Ids of announced segments; -1 where none is open.
        self._open_ids = np.full(self._num_classes, -1, dtype=np.int64)
        self._next_id = 1
        # (T, C) of the whole stream and where its snippets lie, after `flush` in exact mode.
        self.frame_scores: FloatArray | None = None
        self.snippet_times: SnippetTimes | None = None
        # Hears each snippet's smoothed scores, where somebody looks.
        self.on_scores: Callable[[SnippetScore], None] | None = None

    def push(self, snippets: SnippetLogits) -> list[Event]:
        """Events that n more snippets make known.

        Raises:
            ValueError: arrays whose shapes do not fit, what is not finite, an epoch that falls, or
                times that do not rise within one; nothing of them is taken then.
        """
        self._check(snippets)
        events: list[Event] = []
        for index in range(len(snippets.start_seconds)):
            events += self._push_one(
                float(snippets.start_seconds[index]),
                int(snippets.epoch[index]),
                snippets.selection_logits[index],
                snippets.class_probabilities[index],
            )
        return events

    def flush(self, reason: str = "end") -> list[Event]:
        """Events at the end of the stream; in exact mode the final segments."""
        boundaries = self._end_of_epoch(reason)
        if self._history is None:
            return [self._event(boundary) for boundary in boundaries]
        if self._num_snippets == 0:
            return []
        for boundary in boundaries:
            # An announced segment that is open at the end goes straight into the revision.
            if isinstance(boundary, Closing) and self._open_ids[boundary.column] >= 0:
                self._history.remember(self._segment_event(boundary), rev=-1)
                self._open_ids[boundary.column] = -1
        scores = self._history.scores()
        self.frame_scores, self.snippet_times = scores.frames, scores.times
        segments = final_segments(self._manifest, self._options, scores)
        return self._history.revise(
            segments, next_id=self._next_id, at_seconds=self._at_seconds, reason=reason
        )

    def _check(self, snippets: SnippetLogits) -> None:
        starts, epochs, *outputs = (
            _real_numbers(name, getattr(snippets, name))
            for name in ("start_seconds", "epoch", *_OUTPUTS)
        )
        if starts.ndim != 1:
            raise ValueError(f"start_seconds must have shape (n,), got {starts.shape}.")
        shape = (len(starts), self._num_classes)
        for name, values in zip(_OUTPUTS, outputs, strict=True):
            if values.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {values.shape}.")
            # As it is kept: what float32 cannot hold is infinite there.
            with np.errstate(over="ignore"):
                finite = np.isfinite(values.astype(np.float32))
            _require_rows(
                np.logical_and.reduce(finite, axis=1),
                f"{name} must be finite numbers; leave the snippet out",
            )
        for name, values in (("start_seconds", starts), ("epoch", epochs)):
            if values.shape != shape[:1]:
                raise ValueError(f"{name} must have shape {shape[:1]}, got {values.shape}.")
            _require_rows(np.isfinite(values), f"{name} must be finite")
        # Of the snippet before each.
        seen = self._num_snippets > 0
        before = np.concatenate(([self._epoch] if seen else epochs[:1], epochs[:-1]))
        ends = starts + snippet_duration_seconds(self._manifest.sampling)
        earlier = np.concatenate(([self._at_seconds if seen else -np.inf], ends[:-1]))
        _require_rows(epochs >= before, "epoch must not fall")
        _require_rows(
            (epochs > before) | (ends > earlier[: len(ends)]),
            "start_seconds must rise within an epoch; after a gap or a new start raise the epoch",
        )

    def _push_one(
        self,
        start_seconds: float,
        epoch: int,
        logits: Float32Array,
        probabilities: Float32Array,
    ) -> list[Event]:
        duration = snippet_duration_seconds(self._manifest.sampling)
        self._at_seconds = start_seconds + duration
        boundaries: list[Boundary] = []
        if epoch != self._epoch:
            boundaries += self._end_of_epoch("gap")
            self._epoch = epoch
        scores = self._scorer.score(
            start_seconds, logits.astype(np.float64), probabilities.astype(np.float64)
        )
        self._num_snippets += 1
        self._score_total += scores
        if self._history is not None:
            self._history.append(start_seconds, epoch, logits, probabilities)
        snippet = SnippetScore(
            scores=scores,
            start_seconds=start_seconds,
            centre_seconds=snippet_centre_seconds(start_seconds, self._manifest.sampling),
            end_seconds=self._at_seconds,
        )
        for smooth in self._smoother.push(snippet):
            boundaries += self._segment(smooth)
        return [self._event(boundary) for boundary in boundaries]

    def _end_of_epoch(self, reason: str) -> list[Boundary]:
        boundaries: list[Boundary] = []
        for smooth in self._smoother.flush():
            boundaries += self._segment(smooth)
        return boundaries + self._segmenter.flush(reason)

    def _segment(self, smooth: SnippetScore) -> list[Boundary]:
        if self.on_scores is not None:
            self.on_scores(smooth)
        return self._segmenter.push(smooth)

    def _event(self, boundary: Boundary) -> Event:
        column = boundary.column
        if isinstance(boundary, Opening):
            self._open_ids[column] = self._next_id
            self._next_id += 1
            return StartEvent(
                id=int(self._open_ids[column]),
                label=self._manifest.classes[column],
                start_seconds=boundary.start_seconds,
                at_seconds=self._at_seconds,
            )
        event = self._segment_event(boundary)
        self._open_ids[column] = -1
        if event.final and event.score < (self._options.minimum_score or 0.0):
            return RetractEvent(id=event.id, label=event.label, at_seconds=self._at_seconds)
        if self._history is not None:
            self._history.remember(event, rev=0)
        return event

    def _segment_event(self, closing: Closing) -> SegmentEvent:
        video_score = float(self._score_total[closing.column] / self._num_snippets)
        return SegmentEvent(
            id=int(self._open_ids[closing.column]),
            rev=0,
            label=self._manifest.classes[closing.column],
            start_seconds=closing.start_seconds,
            end_seconds=closing.end_seconds,
            score=bounded(
                segment_score(
                    closing.score, video_score, self._manifest.detection.video_score_weight
                ),
                self._manifest.selection,
            ),
            final=self._history is None,
            at_seconds=self._at_seconds,
            reason=closing.reason,
        )

    def state_dict(self) -> State:
        """The whole state as NumPy arrays: exact, and free of objects (np.savez can hold it)."""
        state: State = {
            "version": np.array(STATE_VERSION),
            "made_for": self._made_for(),
            "num_snippets": np.array(self._num_snippets),
            "score_total": self._score_total.copy(),
            "epoch": np.array(self._epoch),
            "at_seconds": np.array(self._at_seconds),
            "open_ids": self._open_ids.copy(),
            "next_id": np.array(self._next_id),
        }
        for name, part in self._parts().items():
            state |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
        return sealed(state)

    def restore(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Go on from a state saved by a detector with the same manifest and options.

        Raises:
            UsageError: the state is of another version, engine or options, or damaged; the detector
                is as it was then.
        """
        arrays = read_arrays(state)
        if not np.array_equal(arrays.get("version", np.empty(0)), STATE_VERSION):
            raise UsageError(f"the saved state is not of version {STATE_VERSION} of this wsgn.")
        if not np.array_equal(arrays.get("made_for", np.empty(0)), self._made_for()):
            raise UsageError("the saved state was made with another engine or other options.")
        other = Detector(self._manifest, self._options, scorer=self._whole_scorer)
        other._take(opened(arrays))
        other.on_scores = self.on_scores
        vars(self).update(vars(other))

    def _take(self, state: SavedState) -> None:
        state.take("version", np.int64)
        state.take("made_for", np.uint8, (None,))
        self._num_snippets = state.take("num_snippets", np.int64)
        self._score_total = state.take("score_total", np.float64, (self._num_classes,))
        self._epoch = state.take("epoch", np.int64)
        self._at_seconds = state.take("at_seconds", np.float64)
        self._open_ids = state.take("open_ids", np.int64, (self._num_classes,))
        self._next_id = state.take("next_id", np.int64)
        for name, part in self._parts().items():
            part.restore(state.part(name))
        state.require_all_taken()
        if self._history is not None and len(self._history) != self._num_snippets:
            raise damaged(f"it holds {len(self._history)} snippets of {self._num_snippets}")
        is_announced = self._open_ids >= 0
        if (is_announced != self._segmenter.announced).any() or (
            self._open_ids >= self._next_id
        ).any():
            raise damaged("its open segments are none")

    def _made_for(self) -> UInt8Array:
        """A fingerprint of the manifest and the options."""
        text = self._manifest.to_json() + repr(self._options)
        # Not in the repr: states that were saved before there was one stay good.
        if self._options.minimum_score:
            text += repr(self._options.minimum_score)
        if self._options.own_thresholds:
            text += "own_thresholds"
        return np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint8)

    def _parts(self) -> dict[str, Stateful]:
        parts: dict[str, Stateful] = {
            "smoother": self._smoother,
            "segmenter": self._segmenter,
            "scorer": self._scorer,
        }
        if self._history is not None:
            parts["history"] = self._history
        return parts


def _real_numbers(name: str, values: object) -> npt.NDArray[Any]:
    """An array; a `ValueError` unless it holds real numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers, got {array.dtype}.")
    return array


def _require_rows(good: BoolArray, message: str) -> None:
    """Raise a `ValueError` that names the first of n snippets (n,) that is not good."""
    if not good.all():
        raise ValueError(f"{message} (the first is number {int(np.argmin(good))} of {len(good)}).")
