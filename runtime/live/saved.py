"""What of a live source outlasts the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsgn.support.arrays import AnyArray
from wsgn.video.live.items import LivePosition


@dataclass(frozen=True, kw_only=True)
class SavedStream:
    """Where a source's detection goes on when it is run again; open ids are in the detector."""

    # Of `Detector.state_dict`.
    detector: Mapping[str, AnyArray]
    position: LivePosition
    # Of `Counters`, by their names.
    counters: Mapping[str, int | float]
    # The source has said its last: no number was given out behind this.
    ended: bool = False
