"""Which profile of a plan takes a batch, and how one that is too large is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wsgn.engines.tensorrt.sidecar import PlanSidecar
from wsgn.errors import EngineError
from wsgn.support.arrays import AnyArray

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a batch and the index of the profile that takes it."""

    profile: int
    inputs: Mapping[str, AnyArray]


def cut_into_pieces(
    name: str, sidecar: PlanSidecar, inputs: Mapping[str, AnyArray]
) -> tuple[Piece, ...]:
    """The pieces of a batch, in order: most often one. `name` is the engine's, for errors.

    Only snippets are cut, which know nothing of each other; along their first axis, N.
    """
    profile = profile_for(sidecar, _shapes(inputs))
    if profile is not None:
        return (Piece(profile=profile, inputs=inputs),)
    return tuple(_cut(name, sidecar, inputs))


def profile_for(sidecar: PlanSidecar, shapes: Shapes) -> int | None:
    """The index of the first profile that holds inputs of these shapes."""
    for index, profile in enumerate(sidecar.profiles):
        if all(profile.inputs[name].holds(shape) for name, shape in shapes.items()):
            return index
    return None


def _cut(name: str, sidecar: PlanSidecar, inputs: Mapping[str, AnyArray]) -> Iterator[Piece]:
    size = _largest_piece(sidecar, _shapes(inputs))
    num_rows = min((array.shape[0] if array.ndim else 0) for array in inputs.values())
    if size == 0 or num_rows <= size:
        raise _no_profile(name, sidecar, inputs)
    for start in range(0, num_rows, size):
        part = {key: array[start : start + size] for key, array in inputs.items()}
        profile = profile_for(sidecar, _shapes(part))
        if profile is None:
            raise _no_profile(name, sidecar, part)
        yield Piece(profile=profile, inputs=part)


def _largest_piece(sidecar: PlanSidecar, shapes: Shapes) -> int:
    """The most rows of such a batch that a profile takes; 0 where none does."""
    if sidecar.manifest.graph != "snippet":
        return 0
    largest = 0
    for profile in sidecar.profiles:
        size = min(shapes_taken.maximum[0] for shapes_taken in profile.inputs.values())
        if all(profile.inputs[name].holds((size, *shape[1:])) for name, shape in shapes.items()):
            largest = max(largest, size)
    return largest


def _shapes(inputs: Mapping[str, AnyArray]) -> Shapes:
    return {name: array.shape for name, array in inputs.items()}


def _no_profile(name: str, sidecar: PlanSidecar, inputs: Mapping[str, AnyArray]) -> EngineError:
    taken = "; ".join(
        f"{profile.name} "
        + ", ".join(
            f"{key} {shapes.minimum} to {shapes.maximum}" for key, shapes in profile.inputs.items()
        )
        for profile in sidecar.profiles
    )
    given = ", ".join(f"{key} {shape}" for key, shape in _shapes(inputs).items())
    return EngineError(
        f"the engine '{name}' takes inputs of the shapes {taken}, got {given}: give such a shape, "
        "or build the plan again with other profiles."
    )
