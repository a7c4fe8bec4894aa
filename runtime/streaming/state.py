"""What the parts of a stream's detection share: a state that can be saved and gone on from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

State = dict[str, npt.NDArray[np.generic]]


class Stateful(Protocol):
    """A part of the detection with a state of its own."""

    def state_dict(self) -> State:
        """The state as arrays, exact."""

    def restore(self, state: State) -> None:
        """Go on from a saved state."""
