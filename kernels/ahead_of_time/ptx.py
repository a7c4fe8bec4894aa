"""What the PTX of a kernel declares: its parameters, its target and its version."""

from __future__ import annotations

import re

_ENTRY = re.compile(r"\.visible \.entry (\w+)\(\s*(.*?)\s*\)", re.DOTALL)
# ".param .u64 .ptr .global .align 1 pool_chunks_param_0", ".param .u32 pool_chunks_param_9".
_PARAMETER = re.compile(r"\.param \.(\w+)\b.*?(\w+)$")
# Pointers of Triton's to memory for scratch and for profiling, behind the kernel's own parameters.
NUM_SCRATCH = 2


def parameter_types(ptx: str) -> tuple[str, ...]:
    """Types of the only kernel's parameters, "u64", "u32", "f32", in order."""
    return tuple(kind for kind, _ in _parameters(ptx))


def target_and_version(ptx: str) -> tuple[str, str]:
    """What it says of itself, such as "sm_90a" and "8.7"."""
    version, target = re.search(r"\.version (\S+)", ptx), re.search(r"\.target (\w+)", ptx)
    assert version is not None
    assert target is not None
    return target[1], version[1]


def reads_scratch(ptx: str) -> bool:
    """Whether the kernel uses the pointers that Triton adds."""
    body = ptx[_declaration(ptx).end() :]
    names = [name for _, name in _parameters(ptx)[-NUM_SCRATCH:]]
    return any(re.search(rf"\b{name}\b", body) for name in names)


def without_scratch(ptx: str) -> str:
    """The same kernel without the pointers that Triton adds and that it does not read."""
    assert not reads_scratch(ptx)
    found = _declaration(ptx)
    kept = [part.strip() for part in found[2].split(",")][:-NUM_SCRATCH]
    return ptx[: found.start(2)] + ",\n\t".join(kept) + ptx[found.end(2) :]


def _declaration(ptx: str) -> re.Match[str]:
    found = list(_ENTRY.finditer(ptx))
    assert len(found) == 1, f"one kernel is expected in the PTX, found {len(found)}"
    return found[0]


def _parameters(ptx: str) -> list[tuple[str, str]]:
    """Type and name of each."""
    parts = [part.strip() for part in _declaration(ptx)[2].split(",")]
    found = [_PARAMETER.fullmatch(part) for part in parts]
    return [(match[1], match[2]) for match in found if match]
