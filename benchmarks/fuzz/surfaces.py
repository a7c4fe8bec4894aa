"""All surfaces, in the order of the table."""

from __future__ import annotations

from benchmarks.fuzz import (
    arrays,
    documents,
    engines,
    graphs,
    pickles,
    records,
    streams,
    videos,
    weights,
    words,
)
from benchmarks.fuzz.case import Surface

SURFACES: dict[str, Surface] = {
    surface.name: surface
    for module in (
        videos, engines, graphs, documents, arrays, pickles, weights, records, streams, words,
    )
    for surface in module.SURFACES
}  # fmt: skip


def numbers_of_cases(surfaces: list[Surface], total: int) -> dict[str, int]:
    """How many cases each surface gets of a total: one, and of the others its share."""
    shares, left = sum(surface.share for surface in surfaces), max(0, total - len(surfaces))
    exact = {surface.name: left * surface.share / shares for surface in surfaces}
    counts = {name: 1 + int(number) for name, number in exact.items()}
    by_remainder = sorted(exact, key=lambda name: int(exact[name]) - exact[name])
    for name in by_remainder[: left + len(surfaces) - sum(counts.values())]:
        counts[name] += 1
    return counts
