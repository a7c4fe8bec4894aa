"""What is launched for a batch: kernels, grids, sizes of buffers.

This is `kernels/launch.py` without tensors; a test compares the two, launch for launch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsgn.engines.kernels.bundle import DOCUMENT, SCRATCH, Layout, Target
from wsgn.errors import EngineError

_FLOAT, _OFFSET = 4, 8
# Every pointer is given to Triton as a multiple of this, and it relies on that.
ALIGNMENT = 16

_SIZES = ("num_snippets", "num_videos", "num_slots")
# The parameters of each kernel, in the order in which they are launched.
PARAMETERS = {
    "describe_chunks": ("x_ptr", "offsets_ptr", "moments_ptr", *_SIZES),
    "describe_videos": ("offsets_ptr", "moments_ptr", "statistics_ptr", *_SIZES, "epsilon"),
    "pool_chunks": (
        "x_ptr", "h_ptr", "offsets_ptr", "mu_ptr", "sigma_ptr", "statistics_ptr",
        "row_numbers_ptr", "scores_ptr", "sums_ptr", *_SIZES,
    ),
    "finish_videos": (
        "offsets_ptr", "sums_ptr", "statistics_ptr", "scores_ptr", "video_scores_ptr",
        "results_ptr", *_SIZES,
    ),
}  # fmt: skip
# Kernels that only the local Gaussian and the temporal softmax need.
_DESCRIBING = ("describe_chunks", "describe_videos")


def kernels_for(components: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the kernels that these components need, in the order of their launches."""
    describe = bool({"local_gaussian", "temporal_softmax"} & set(components))
    return tuple(name for name in PARAMETERS if describe or name not in _DESCRIBING)


def check_kernels(target: Target, components: tuple[str, ...]) -> None:
    """Raise an `EngineError` unless a target's kernels take what this launcher passes."""
    names = tuple(kernel.name for kernel in target.kernels)
    if names != kernels_for(components):
        raise EngineError(
            f"{DOCUMENT} lists the kernels {', '.join(names)} for {target.ptx_target}, needed are "
            f"{', '.join(kernels_for(components))}: compile them again with this version of wsgn."
        )
    for kernel in target.kernels:
        taken = [parameter.name for parameter in kernel.parameters]
        while taken and taken[-1] == SCRATCH:
            taken.pop()
        if tuple(taken) != PARAMETERS[kernel.name]:
            raise EngineError(
                f"the kernel {kernel.name} takes {', '.join(taken)}, this launcher passes "
                f"{', '.join(PARAMETERS[kernel.name])}: compile it again with this version of wsgn."
            )


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of one packed batch."""

    # N, B and C.
    num_snippets: int
    num_videos: int
    num_classes: int
    layout: Layout
    # The sigmoid keeps nothing for a row.
    softmax_over_classes: bool

    @property
    def num_slots(self) -> int:
        """At most so many chunks, whatever the offsets."""
        return self.num_snippets // self.layout.chunk + self.num_videos

    @property
    def num_tiles(self) -> int:
        """Groups of classes."""
        return -(-self.num_classes // self.layout.lanes)

    def grid(self, kernel: str) -> tuple[int, int, int]:
        """Programs of a kernel."""
        programs = self.num_slots if kernel.endswith("_chunks") else self.num_videos
        # Pooling holds whole rows, since it sums over classes.
        return programs, 1 if kernel == "pool_chunks" else self.num_tiles, 1

    def num_bytes(self) -> Mapping[str, int]:
        """Of every buffer, by the parameter that points to it."""
        rows = self.num_snippets * self.num_classes * _FLOAT
        chunks = self.num_slots * self.num_classes * _FLOAT
        videos = self.num_videos * self.num_classes * _FLOAT
        classes = self.num_classes * _FLOAT
        return {
            "x_ptr": rows,
            "h_ptr": rows,
            "offsets_ptr": (self.num_videos + 1) * _OFFSET,
            "mu_ptr": classes,
            "sigma_ptr": classes,
            "moments_ptr": self.layout.num_moments * chunks,
            "statistics_ptr": self.layout.num_statistics * videos,
            "row_numbers_ptr": 2 * self.num_snippets * _FLOAT * self.softmax_over_classes,
            "scores_ptr": rows,
            "sums_ptr": self.layout.num_sums * chunks,
            "video_scores_ptr": videos,
        }

    @property
    def results_offset(self) -> int:
        """Bytes from the start of the statistics to `results_ptr`."""
        return self.layout.first_result * self.num_videos * self.num_classes * _FLOAT
