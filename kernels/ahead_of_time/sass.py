"""What the machine code of a compiled kernel shows: registers, spills, instructions of its loop.

Read with NVIDIA's cuobjdump, which comes with Triton. No GPU is needed.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import triton

_RESOURCES = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)")
# Address and text: "/*0220*/   LDG.E.U16 R15, desc[UR6][R2.64] ;".
_INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(.*?);")
_PREDICATE = re.compile(r"^@!?U?P\w+\s+")
_JUMP = re.compile(r"\bBRA\b.* 0x([0-9a-f]+)$")
_LOAD = re.compile(r"^LDG\.E(?:\.\w+)*")


@dataclass(frozen=True, kw_only=True)
class MachineCode:
    """One kernel for one target."""

    registers: int
    # Local memory of a thread: a stack is made of nothing but spilled registers here.
    spilled_bytes: int
    shared_bytes: int
    # Opcodes with their suffixes, of the whole kernel and of its longest innermost loop.
    instructions: tuple[str, ...]
    main_loop: tuple[str, ...]

    @property
    def load_bits(self) -> int:
        """Widest load from global memory in the main loop, for each lane."""
        return max((_bits(opcode) for opcode in self.main_loop if _LOAD.match(opcode)), default=0)

    def count(self, prefix: str) -> int:
        """Instructions of the main loop whose opcode starts so."""
        return sum(opcode.startswith(prefix) for opcode in self.main_loop)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a thread of a kernel takes; see `MachineCode`."""

    registers: int
    spilled_bytes: int


def read_resources(cubin: bytes) -> Resources:
    """Without disassembling."""
    text = _cuobjdump("-res-usage", cubin)
    resources = _RESOURCES.search(text)
    assert resources is not None, text
    registers, stack, local = map(int, resources.groups())
    return Resources(registers=registers, spilled_bytes=stack + local)


def read_cubin(cubin: bytes, *, shared_bytes: int) -> MachineCode:
    """Disassemble; the shared memory, which is asked for at launch, has to be told."""
    resources = read_resources(cubin)
    found = _INSTRUCTION.findall(_cuobjdump("-sass", cubin))
    code = [(int(address, 16), _PREDICATE.sub("", text).strip()) for address, text in found]
    return MachineCode(
        registers=resources.registers,
        spilled_bytes=resources.spilled_bytes,
        shared_bytes=shared_bytes,
        instructions=tuple(text.split()[0] for _, text in code),
        main_loop=_main_loop(code),
    )


def _main_loop(code: list[tuple[int, str]]) -> tuple[str, ...]:
    """The longest run of code that ends in a jump back to its start."""
    longest: list[str] = []
    for address, text in code:
        jump = _JUMP.search(text)
        if jump and int(jump[1], 16) < address:
            start = int(jump[1], 16)
            loop = [inner.split()[0] for at, inner in code if start <= at <= address]
            longest = max(longest, loop, key=len)
    return tuple(longest)


def _bits(load: str) -> int:
    """Width of a load, from an opcode such as LDG.E.U16 or LDG.E.128."""
    width = re.search(r"\.[US]?(8|16|64|128)\b", load)
    return int(width[1]) if width else 32


def _cuobjdump(option: str, cubin: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(cubin)
        command = [_cuobjdump_path(), option, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _cuobjdump_path() -> str:
    if hasattr(triton, "knobs"):
        return str(triton.knobs.nvidia.cuobjdump.path)
    # Triton 3.3.
    return str(importlib.import_module("triton.tools.disasm").path_to_cuobjdump()[0])
