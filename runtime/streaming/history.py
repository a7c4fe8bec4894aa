"""What exact mode keeps until the end: every snippet's outputs, and what was announced so far."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from wsgn.localization.online.state import SavedState, State, damaged
from wsgn.localization.segments import Segment
from wsgn.localization.timing import snippet_times
from wsgn.manifest import Manifest
from wsgn.support.arrays import Float32Array

from ..events import Event, RetractEvent, SegmentEvent
from .whole_video import NumpyScorer, Scorer, StreamScores


class History:
    """The outputs of all snippets of one stream and its provisional segments.

    A snippet takes 8 * C bytes for its outputs and 16 for its place in time.
    """

    def __init__(self, manifest: Manifest, scorer: Scorer | None = None) -> None:
        self._manifest = manifest
        self._scorer = scorer or NumpyScorer(manifest.selection)
        self._starts = array("d")
        self._epochs = array("q")
        # Rows of C float32, one after the other.
        self._logits = array("f")
        self._probabilities = array("f")
        self._provisional: list[tuple[int, SegmentEvent]] = []

    def append(
        self,
        start_seconds: float,
        epoch: int,
        logits: Float32Array,
        probabilities: Float32Array,
    ) -> None:
        """Keep one snippet's outputs (C,)."""
        self._starts.append(start_seconds)
        self._epochs.append(epoch)
        self._logits.frombytes(logits.astype(np.float32, copy=False).tobytes())
        self._probabilities.frombytes(probabilities.astype(np.float32, copy=False).tobytes())

    def remember(self, event: SegmentEvent, *, rev: int) -> None:
        """Keep an announced segment; `rev` is -1 where only its start was announced."""
        self._provisional.append((rev, event))

    def scores(self) -> StreamScores:
        """Scores of the whole stream, as in training, and where its snippets lie."""
        epochs = np.array(self._epochs, dtype=np.int64)
        times = snippet_times(np.array(self._starts), epochs, self._manifest.sampling)
        scores = self._scorer(self._rows(self._logits), self._rows(self._probabilities))
        return StreamScores(frames=scores.frames, videos=scores.videos, times=times)

    def _rows(self, outputs: array[float]) -> Float32Array:
        width = len(self._manifest.classes)
        return np.array(outputs, dtype=np.float32).reshape(-1, width)  # (T, C)

    def revise(
        self, segments: Sequence[Segment], *, next_id: int, at_seconds: float, reason: str
    ) -> list[Event]:
        """The final events: what was announced is revised, retracted or joined by new segments.

        A final segment takes the id of the announced one of its label that it overlaps most.
        """
        taken: dict[int, int] = {}
        free = dict.fromkeys(range(len(self._provisional)))
        for _, i, j in sorted(self._overlaps(segments)):
            if i not in taken and j in free:
                taken[i] = j
                del free[j]
        events: list[Event] = [
            RetractEvent(id=event.id, label=event.label, at_seconds=at_seconds)
            for _, event in (self._provisional[j] for j in free)
        ]
        for i, segment in enumerate(segments):
            if i in taken:
                rev, event = self._provisional[taken[i]]
                identity, rev = event.id, rev + 1
            else:
                identity, rev, next_id = next_id, 0, next_id + 1
            events.append(
                SegmentEvent(
                    id=identity,
                    rev=rev,
                    label=segment.label,
                    start_seconds=segment.start_seconds,
                    end_seconds=segment.end_seconds,
                    score=segment.score,
                    final=True,
                    at_seconds=at_seconds,
                    reason=reason,
                )
            )
        return events

    def _overlaps(self, segments: Sequence[Segment]) -> list[tuple[float, int, int]]:
        """Final and announced segments of a label that overlap: (-seconds, final, announced)."""
        announced: dict[str, list[tuple[int, SegmentEvent]]] = {}
        for j, (_, event) in enumerate(self._provisional):
            announced.setdefault(event.label, []).append((j, event))
        pairs: list[tuple[float, int, int]] = []
        for i, segment in enumerate(segments):
            # Those of one label follow each other in time.
            row = announced.get(segment.label, [])
            first = bisect_right(row, segment.start_seconds, key=lambda item: item[1].end_seconds)
            for j, event in (row[index] for index in range(first, len(row))):
                if event.start_seconds >= segment.end_seconds:
                    break
                pairs.append((-_overlap_seconds(segment, event), i, j))
        return pairs

    def state_dict(self) -> State:
        """The state as arrays, exact."""
        columns = {label: index for index, label in enumerate(self._manifest.classes)}
        provisional = [
            (rev, e.id, columns[e.label], e.start_seconds, e.end_seconds)
            for rev, e in self._provisional
        ]
        return {
            "starts": np.array(self._starts, dtype=np.float64),
            "epochs": np.array(self._epochs, dtype=np.int64),
            "logits": self._rows(self._logits),
            "probabilities": self._rows(self._probabilities),
            "provisional": np.array(provisional, dtype=np.float64).reshape(-1, 5),
        }

    def __len__(self) -> int:
        return len(self._starts)

    def restore(self, state: SavedState) -> None:
        """Go on from a saved state; a `UsageError` where it is damaged."""
        num_classes = len(self._manifest.classes)
        starts = state.take("starts", np.float64, (None,))
        epochs = state.take("epochs", np.int64, (len(starts),))
        shape = (len(starts), num_classes)
        logits = state.take("logits", np.float32, shape)
        probabilities = state.take("probabilities", np.float32, shape)
        provisional = state.take("provisional", np.float64, (None, 5))
        state.require_all_taken()
        whole = provisional[:, :3]
        if (whole != np.rint(whole)).any() or not np.isin(whole[:, 2], range(num_classes)).all():
            raise damaged("its announced segments are none")
        self._starts = array("d", starts.tobytes())
        self._epochs = array("q", epochs.tobytes())
        self._logits = array("f", logits.tobytes())
        self._probabilities = array("f", probabilities.tobytes())
        self._provisional = [
            (int(rev), self._restored(int(identity), int(column), start, end))
            for rev, identity, column, start, end in provisional.tolist()
        ]

    def _restored(self, identity: int, column: int, start: float, end: float) -> SegmentEvent:
        return SegmentEvent(
            id=identity,
            rev=0,
            label=self._manifest.classes[column],
            start_seconds=start,
            end_seconds=end,
            score=0.0,
            final=False,
            at_seconds=0.0,
            reason="",
        )


def _overlap_seconds(segment: Segment, event: SegmentEvent) -> float:
    start = max(segment.start_seconds, event.start_seconds)
    return min(segment.end_seconds, event.end_seconds) - start
