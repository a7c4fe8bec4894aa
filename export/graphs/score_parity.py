"""Parity of an exported graph of scores: torch for the network, float64 NumPy for the selection.

The selection is held against the paper's equations on the graph's own logits: a score may hang on a
difference of two logits, which a network in another arithmetic does not keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from wsgn.export.graphs.document import Exportable, parity_input
from wsgn.export.graphs.networks import activated, per_video
from wsgn.export.graphs.parity import TOLERANCE, Comparison, ParityRow, parity_sizes
from wsgn.export.graphs.selection_function import DOMAIN
from wsgn.localization.scoring import frame_scores, snippet_scores, video_scores
from wsgn.localization.statistics import SelectionStatistics
from wsgn.localization.streaming_state import state_rows, whole_video_scores
from wsgn.manifest import Manifest, SelectionRule
from wsgn.support.arrays import FloatArray, FloatingArray
from wsgn.support.packages import load_package

# Videos and snippets of each; every network is run on the first three.
SIZES = ((1, 1), (1, 2), (3, 1), (2, 3), (1, 13), (5, 7), (1, 65))
# Of scores that come from a state. It holds means in float32, which are compared with logits in
# units of sqrt(variance + epsilon), which where logits hardly differ is near 1 / 1000.
STREAM_TOLERANCE = 1e-3


def score_parity_sizes(manifest: Manifest) -> tuple[tuple[int, int], ...]:
    """The sizes that a large network can be run on in a minute or so."""
    most = max(parity_sizes(manifest))
    return tuple((videos, length) for videos, length in SIZES if videos * length <= most)


def check_score_parity(
    subject: Exportable,
    graph: str,
    path: Path,
    sizes: Sequence[tuple[int, int]],
    tolerance: float = TOLERANCE,
    *,
    calls: str = "any",
) -> tuple[ParityRow, ...]:
    """Run the file on random inputs of every size; an `EngineError` when it is too far off.

    Streams are cut into calls as the graph wants them, one of `streaming_selection.CALLS`.

    `tolerance` is for what the network computes; scores follow from it in float32 always.
    """
    comparison = Comparison()
    session = _session(path)
    check: _WholeVideos | _Streams
    if graph == "whole-video":
        check = _WholeVideos(subject, session, _Logits(path), comparison, tolerance)
    else:
        check = _Streams(subject, session, comparison, tolerance, calls == "one")
    for size in sizes:
        snippets = parity_input(subject, size[0] * size[1])
        check.run(per_video(snippets, size).numpy())
    return comparison.rows()


def _session(graph: Path | bytes) -> Any:
    onnxruntime = load_package("onnxruntime")
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


class _Logits:
    """A copy of the document that gives the logits which its scores come from."""

    def __init__(self, path: Path) -> None:
        document = onnx.load(path)
        (selection,) = [node for node in document.graph.node if node.domain == DOMAIN]
        # A method without a selection of its own has its class logits in both places.
        self._names = selection.input[:2]
        del document.graph.output[:]
        document.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in dict.fromkeys(self._names)
        )
        self._session = _session(document.SerializeToString())

    def run(self, given: dict[str, FloatingArray]) -> list[FloatingArray]:
        """Selection logits and class logits (B, T, C)."""
        names = list(dict.fromkeys(self._names))
        found = dict(zip(names, self._session.run(names, given), strict=True))
        return [found[name] for name in self._names]


@dataclass(frozen=True, eq=False)
class _WholeVideos:
    """Scores in one call, and the logits that they come from."""

    subject: Exportable
    session: Any
    logits: _Logits
    comparison: Comparison
    tolerance: float

    def run(self, inputs: FloatingArray) -> None:
        """Compare for inputs (B, T, ...)."""
        given = {self.session.get_inputs()[0].name: inputs}
        logits, class_logits = self.logits.run(given)  # (B, T, C)
        with torch.inference_mode():
            wanted = self.subject.graph.heads(torch.from_numpy(inputs).flatten(0, 1))
        for name, want, have in zip(
            ("selection_logits", "class_logits"), wanted, (logits, class_logits), strict=True
        ):
            self.comparison.add(name, want.numpy().reshape(have.shape), have, self.tolerance)
        flat = torch.from_numpy(class_logits).double().flatten(0, 1)
        activation = self.subject.manifest.selection.class_activation
        p = activated(flat, activation).numpy().reshape(class_logits.shape)
        for video in zip(logits, p, *self.session.run(None, given), strict=True):
            self._compare_scores(*video)

    def _compare_scores(
        self,
        logits: FloatingArray,
        probabilities: FloatingArray,
        scores: FloatingArray,
        of_video: FloatingArray,
    ) -> None:
        rule = self.subject.manifest.selection
        wanted = _nearest(
            scores, [frame_scores(logits, probabilities, r) for r in _around(rule, TOLERANCE)]
        )
        self.comparison.add("scores", wanted, scores, TOLERANCE)
        wanted = video_scores(logits, probabilities, rule, wanted)
        self.comparison.add("video_scores", wanted, of_video, TOLERANCE)


@dataclass(frozen=True, eq=False)
class _Streams:
    """Streams in one call and in three, whose state is handed on; or in one for each snippet."""

    subject: Exportable
    session: Any
    comparison: Comparison
    tolerance: float
    one_by_one: bool

    def run(self, inputs: FloatingArray) -> None:
        """Compare for inputs (B, N, ...)."""
        length = inputs.shape[1]
        with torch.inference_mode():
            outputs = self.subject.graph(torch.from_numpy(inputs).flatten(0, 1))
        expected = [output.numpy().reshape(*inputs.shape[:2], -1) for output in outputs]
        ways: tuple[tuple[int, ...], ...] = ((), (length // 3, length // 2))
        for cuts in (tuple(range(1, length)),) if self.one_by_one else ways:
            logits, probabilities, scores, states = self._outputs(inputs, cuts)
            add = self.comparison.add
            add("selection_logits", expected[0], logits, self.tolerance)
            add("class_probabilities", expected[1], probabilities, self.tolerance)
            for stream in zip(logits, probabilities, scores, states, strict=True):
                self._compare_scores(*stream)

    def _compare_scores(
        self,
        logits: FloatingArray,
        probabilities: FloatingArray,
        scores: FloatingArray,
        state: FloatingArray,
    ) -> None:
        """Of one stream: the causal scores, and the exact ones that follow from its last state."""
        manifest = self.subject.manifest
        rules = _around(manifest.selection, STREAM_TOLERANCE)
        causal = _nearest(
            scores,
            [
                causal_scores(logits, probabilities, replace(manifest, selection=rule))
                for rule in rules
            ],
        )
        self.comparison.add("scores", causal, scores, STREAM_TOLERANCE)
        by_state = whole_video_scores(logits, probabilities, state, manifest.selection)
        exact = _nearest(by_state, [frame_scores(logits, probabilities, r) for r in rules])
        self.comparison.add("exact by state", exact, by_state, STREAM_TOLERANCE)

    def _outputs(self, inputs: FloatingArray, cuts: tuple[int, ...]) -> list[FloatingArray]:
        """Logits, probabilities, scores (B, N, C) and the last state, of inputs cut into calls."""
        manifest = self.subject.manifest
        shape = (len(inputs), len(state_rows(manifest.selection)), len(manifest.classes))
        state: Any = np.zeros(shape, dtype=np.float32)
        parts = []
        for part in np.split(inputs, cuts, axis=1):
            if part.shape[1]:
                given = {self.session.get_inputs()[0].name: part, "state": state}
                *values, state = self.session.run(None, given)
                parts.append(values)
        return [*(np.concatenate(values, axis=1) for values in zip(*parts, strict=True)), state]


def causal_scores(
    logits: FloatingArray, probabilities: FloatingArray, manifest: Manifest
) -> FloatArray:
    """Scores (N, C) of one stream in float64, by the statistics up to each snippet."""
    statistics = SelectionStatistics.from_prior(manifest.prior, manifest.prior.count)
    scores = []
    for x, p in zip(logits.astype(np.float64), probabilities.astype(np.float64), strict=True):
        statistics = statistics.updated(x).counting(x[None], manifest.selection)
        scores.append(snippet_scores(x, p, statistics, manifest.selection))
    return np.stack(scores)


def _around(rule: SelectionRule, tolerance: float) -> tuple[SelectionRule, ...]:
    """The rule; one whose gate opens at once also with the level a little lower and higher."""
    if rule.gate != "hard":
        return (rule,)
    levels = (1 - tolerance, 1 + tolerance)
    return tuple(replace(rule, gate_level=factor * rule.gate_level) for factor in levels)


def _nearest(have: FloatingArray, wanted: Sequence[FloatArray]) -> FloatArray:
    """Of what may be wanted in each place the nearest to what is there."""
    candidates = np.stack(wanted)
    nearest = np.abs(candidates - have).argmin(axis=0)[None]
    found: FloatArray = np.take_along_axis(candidates, nearest, axis=0)[0]
    return found
