"""The spans of time that this package compares."""

from __future__ import annotations

from dataclasses import dataclass

from wsgn.support.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Spans:
    """N stretches of time; only those of the same group are compared with each other."""

    # (N,) what the span belongs to: a video, or a video and a class.
    group: IntArray
    # (N,) start and end in one unit: seconds, or snippets where a protocol rounds to them.
    start: FloatArray
    end: FloatArray

    def __len__(self) -> int:
        """The number of spans."""
        return len(self.group)

    def take(self, index: IntArray | BoolArray) -> Spans:
        """The spans at these positions (or where a mask is true), in that order."""
        return Spans(group=self.group[index], start=self.start[index], end=self.end[index])
