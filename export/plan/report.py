"""What the command says about a plan, on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsgn.engines.tensorrt.library import TITLES
from wsgn.engines.tensorrt.sidecar import PlanSidecar
from wsgn.export.plan.parity import PlanParity
from wsgn.support.files import size_in_words


def print_parity(parity: PlanParity, library_title: str) -> None:
    """On which sizes the plan was compared, and how far each output was off."""
    sizes = "; ".join(
        ", ".join(f"{axis} = {size}" for axis, size in one.items()) for one in parity.sizes
    )
    print(
        f"parity of {library_title} on {parity.gpu} and ONNX Runtime for {sizes} (tolerance "
        f"{parity.tolerance:.0e}):"
    )
    for row in parity.rows:
        print(
            f"  {row.output:20} differs by at most {row.largest_difference:.1e}"
            f" (values up to {row.largest_value:.3g})"
        )


def print_plan(plan: Path, sidecar: PlanSidecar, seconds: float) -> None:
    """The file that was written, and what it takes."""
    target = sidecar.compute_capability
    print(
        f"{plan}: {size_in_words(plan.stat().st_size)} in {seconds:.1f} s, "
        f"{TITLES[sidecar.library]} {sidecar.library_version}, for "
        + (f"compute capability {target}" if target else "several GPU architectures")
    )
    for profile in sidecar.profiles:
        ranges = "; ".join(
            f"{name} {_shape(shapes.minimum)} to {_shape(shapes.maximum)}, best at "
            f"{_shape(shapes.optimum)}"
            for name, shapes in profile.inputs.items()
        )
        print(f"  profile {profile.name}: {ranges}")


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
