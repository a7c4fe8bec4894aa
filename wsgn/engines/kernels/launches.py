"""What is launched for a batch: kernels, grids, sizes of buffers.

This is `kernels/launch.py` without tensors; a test compares the two, launch for launch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsgn.engines.kernels.bundle import DOCUMENT, SCRATCH, Bundle, Layout, Target
from wsgn.errors import EngineError
from wsgn.manifest import AVERAGE

_FLOAT, _OFFSET = 4, 8
# Every pointer is given to Triton as a multiple of this, and it relies on that.
ALIGNMENT = 16

_SIZES = ("num_snippets", "num_videos", "num_slots")
# The parameters of each kernel, in the order in which they are launched.
_PARAMETERS = {
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
    "score_chunks": (
        "x_ptr", "h_ptr", "offsets_ptr", "mu_ptr", "sigma_ptr", "statistics_ptr",
        "row_numbers_ptr", "scores_ptr", *_SIZES, "gate_level",
    ),
}  # fmt: skip
# Kernels that only the local Gaussian and the temporal softmax need.
_DESCRIBING = ("describe_chunks", "describe_videos")


def parameters_of(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """The kernels that a bundle needs, in the order of their launches, and what each takes."""
    described = bool({"local_gaussian", "temporal_softmax"} & set(bundle.components))
    left_out = set() if described else set(_DESCRIBING)
    # Frame scores are written by a kernel of their own, or where they are pooled.
    scored_alone = bundle.weight_scale == AVERAGE or bundle.gate != "none"
    if not scored_alone:
        left_out.add("score_chunks")
    found = {name: taken for name, taken in _PARAMETERS.items() if name not in left_out}
    if scored_alone:
        pooling = found["pool_chunks"]
        found["pool_chunks"] = tuple(name for name in pooling if name != "scores_ptr")
    return found


def check_kernels(target: Target, bundle: Bundle) -> None:
    """Raise an `EngineError` unless a target's kernels take what this launcher passes."""
    names = tuple(kernel.name for kernel in target.kernels)
    wanted = parameters_of(bundle)
    if names != tuple(wanted):
        raise EngineError(
            f"{DOCUMENT} lists the kernels {', '.join(names)} for {target.ptx_target}, needed are "
            f"{', '.join(wanted)}: compile them again with this version of wsgn."
        )
    for kernel in target.kernels:
        taken = [parameter.name for parameter in kernel.parameters]
        while taken and taken[-1] == SCRATCH:
            taken.pop()
        if tuple(taken) != wanted[kernel.name]:
            raise EngineError(
                f"the kernel {kernel.name} takes {', '.join(taken)}, this launcher passes "
                f"{', '.join(wanted[kernel.name])}: compile it again with this version of wsgn."
            )


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of one packed batch."""

    # N, B and C.
    num_snippets: int
    num_videos: int
    num_classes: int
    layout: Layout
    # Others keep nothing for a row.
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
        # Pooling holds whole rows, since it sums over classes; scoring goes through the tiles.
        return programs, 1 if kernel in ("pool_chunks", "score_chunks") else self.num_tiles, 1

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
