"""What the parts of a stream's detection share: a state that can be saved and gone on from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wsgn.errors import UsageError
from wsgn.support.arrays import AnyArray, UInt8Array

State = dict[str, npt.NDArray[np.generic]]
_SEAL = "checksum"


class Stateful(Protocol):
    """A part of the detection with a state of its own."""

    def state_dict(self) -> State:
        """The state as arrays, exact."""

    def restore(self, state: SavedState) -> None:
        """Go on from a saved state; a `UsageError` where it is damaged."""


class SavedState:
    """Arrays of a saved state, each looked at before it is used."""

    def __init__(self, arrays: Mapping[str, AnyArray]) -> None:
        self._arrays = dict(arrays)
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def take(
        self,
        name: str,
        dtype: npt.DTypeLike,
        shape: tuple[int | None, ...] = (),
        *,
        finite: bool = True,
    ) -> Any:
        """An array of a type and shape (None: any size), a copy; a number where the shape is ()."""
        if name not in self._arrays:
            raise damaged(f"it lacks '{name}'")
        self._taken.add(name)
        array = self._arrays[name]
        fits = len(array.shape) == len(shape) and all(
            wanted is None or size == wanted
            for size, wanted in zip(array.shape, shape, strict=True)
        )
        if array.dtype != np.dtype(dtype) or not fits:
            sizes = ", ".join("n" if size is None else str(size) for size in shape)
            raise damaged(
                f"'{name}' is {array.dtype} of shape {array.shape} where {np.dtype(dtype)} of "
                f"({sizes}) is wanted"
            )
        if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise damaged(f"'{name}' holds what is no number")
        return array.item() if shape == () else array.copy()

    def part(self, name: str) -> SavedState:
        """The arrays of one part, `name.KEY`, by their keys."""
        prefix = f"{name}."
        inside = {key for key in self._arrays if key.startswith(prefix)}
        self._taken |= inside
        return SavedState({key[len(prefix) :]: self._arrays[key] for key in inside})

    def require_all_taken(self) -> None:
        """Raise a `UsageError` where something is left that nobody asked for."""
        left = sorted(self._arrays.keys() - self._taken)
        if left:
            raise damaged(f"nothing is known of '{left[0]}'")


def damaged(reason: str) -> UsageError:
    """What is said of a state that cannot be gone on from."""
    return UsageError(f"the saved state is damaged ({reason}): begin the stream anew.")


def sealed(state: State) -> State:
    """The state with a checksum of all its arrays."""
    return state | {_SEAL: _checksum(state)}


def read_arrays(state: Mapping[str, npt.NDArray[np.generic]]) -> State:
    """All arrays of a mapping or of an archive of NumPy. Raises `UsageError`."""
    arrays: State = {}
    # An archive of NumPy reads an array when it is asked for, and fails in any way.
    try:
        for name in state:
            array = np.asarray(state[name])
            if array.dtype.hasobject:
                raise damaged(f"'{name}' holds objects")
            arrays[str(name)] = array
    except UsageError:
        raise
    except Exception as error:
        raise damaged(f"it cannot be read: {error}") from error
    return arrays


def opened(state: State) -> SavedState:
    """The arrays of a sealed state, as they were saved. Raises `UsageError`."""
    arrays = dict(state)
    seal = arrays.pop(_SEAL, np.empty(0))
    if not np.array_equal(seal, _checksum(arrays)):
        raise damaged("its checksum is another one")
    return SavedState(arrays)


def _checksum(state: Mapping[str, npt.NDArray[np.generic]]) -> UInt8Array:
    found = hashlib.sha256()
    for name in sorted(state):
        array = state[name]
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode("utf-8", "replace"))
        found.update(np.ascontiguousarray(array).tobytes())
    return np.frombuffer(found.digest(), dtype=np.uint8)
