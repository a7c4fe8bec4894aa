"""Which Tritons can do what; each version was tried in an environment of its own."""

from __future__ import annotations

import triton

from wsgn.errors import UsageError

# Earlier ones do not compile tuples as the kernels hold them. The first PyTorch with it is 2.7.
OLDEST = (3, 3)
# Its names of the assembler and of its settings, and the parameters that it adds to a kernel.
OLDEST_AHEAD_OF_TIME = (3, 6)


def require_triton(oldest: tuple[int, int], purpose: str, torch_version: str) -> None:
    """Raise a `UsageError` where the installed Triton is older."""
    if tuple(map(int, triton.__version__.split(".")[:2])) < oldest:
        raise UsageError(
            f"{purpose} needs Triton {oldest[0]}.{oldest[1]} or later, {triton.__version__} is "
            f"installed: install PyTorch {torch_version} or later, which brings one."
        )
