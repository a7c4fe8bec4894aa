"""Bugs planted in a copy of the kernels must be caught by a handful of the checks."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from kernel_cases import SEVERAL, Case, check_case
from kernel_device import DEVICE

from wsgn.kernels import launch

pytestmark = pytest.mark.skipif(
    DEVICE != "cpu", reason="bugs are planted in interpreted kernels, where none can do harm"
)
FILES = (
    "tiles.py",
    "describe_kernels.py",
    "forward_kernels.py",
    "finish_kernels.py",
    "backward_kernels.py",
    "launch.py",
)
CHECKS = (
    Case(lengths=(1, 21), num_classes=5, width=32),
    Case(
        lengths=(2, 69), num_classes=5, softmax_scale="max_one", frame_gradient=True, plan=SEVERAL,
    ),
    Case(lengths=(21,), num_classes=5, activation="sigmoid", width=7, h_spread=5.0),
    Case(lengths=(2, 21), num_classes=5, width=32, weight_scale="average"),
    Case(
        lengths=(21, 3), num_classes=5, width=7, weight_scale="average", activation="identity",
        frame_gradient=True,
    ),
    # Here epsilon is most of the variance.
    Case(lengths=(9, 3), num_classes=2, spread=1e-3, components=("local_gaussian",)),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A text that stands once in a file, and what a tired author might have written."""

    file: str
    right: str
    wrong: str


BUGS = {
    "epsilon forgotten": Bug(
        file="describe_kernels.py", right="1 / tl.sqrt(variance + epsilon)",
        wrong="1 / tl.sqrt(variance + 1e-30)",
    ),
    "epsilon outside of the root": Bug(
        file="describe_kernels.py", right="1 / tl.sqrt(variance + epsilon)",
        wrong="1 / (tl.sqrt(variance) + epsilon)",
    ),
    "variance about the chunk's mean only": Bug(
        file="describe_kernels.py", right="part + distance * distance * sizes",
        wrong="part",
    ),
    "last chunk counted as a full one": Bug(
        file="describe_kernels.py",
        right="""                sizes = tl.minimum(length - chunks * CHUNK, CHUNK).to(tl.float32)
                part = tl.load""",
        wrong="""                sizes = tl.minimum(length, CHUNK).to(tl.float32) + 0.0 * chunks
                part = tl.load""",
    ),
    "mask of the last rows dropped in the statistics": Bug(
        file="describe_kernels.py", right="distance = tl.where(inside[held], distance, 0.0)",
        wrong="distance = distance + 0.0",
    ),
    "rows beyond the chunk pooled": Bug(
        file="forward_kernels.py", right="((maximum, tl.where(inside[held], inverse, 0.0)),)",
        wrong="((maximum, inverse),)",
    ),
    "rows beyond the chunk pooled with sigmoid": Bug(
        file="tiles.py",
        right="return tl.where(inside, 1 / (1 + tl.exp2(-h * LOG2_E)), 0.0)",
        wrong="return 1 / (1 + tl.exp2(-h * LOG2_E))",
    ),
    "columns beyond the classes kept": Bug(
        file="tiles.py", right="values = tl.where(columns < C, values, OTHER)",
        wrong="values = values + 0.0",
    ),
    "maximum of the chunks not subtracted": Bug(
        file="describe_kernels.py",
        right="total += tl.where(inside, part * tl.exp2(height * LOG2_E), 0.0)",
        wrong="total += tl.where(inside, part, 0.0)",
    ),
    "running maximum forgotten": Bug(
        file="describe_kernels.py", right="total *= tl.exp2((maximum - largest) * LOG2_E)",
        wrong="total *= 1.0",
    ),
    "1 / T missing from the video score": Bug(
        file="finish_kernels.py",
        right="score = sums[0] * (1 / num_rows)", wrong="score = sums[0]",
    ),
    "1 / T missing from the gradient": Bug(
        file="backward_kernels.py", right="per_row = 1 / (COMPONENTS * length.to(tl.float32))",
        wrong="per_row = 1 / (COMPONENTS * (length * 0 + 1).to(tl.float32))",
    ),
    "number of components forgotten": Bug(
        file="finish_kernels.py", right="score *= 1 / COMPONENTS",
        wrong="score *= 1",
    ),
    "sign of the mean's gradient": Bug(
        file="backward_kernels.py", right="* u - slope[None, :]",
        wrong="* u + slope[None, :]",
    ),
    "spread's gradient forgotten": Bug(
        file="backward_kernels.py", right="dx = (dw * z - curve[None, :]) * u",
        wrong="dx = (dw * z) * u",
    ),
    "softmax's normalisation not differentiated": Bug(
        file="backward_kernels.py", right="dx += q * (pg - share[None, :])",
        wrong="dx += q * pg",
    ),
    "gradient of the maximum given to all": Bug(
        file="backward_kernels.py",
        right="tl.where(x == maximum[None, :], share[None, :], 0.0)",
        wrong="share[None, :] + 0.0 * x",
    ),
    "class softmax without its balance": Bug(
        file="backward_kernels.py", right="dh = p[tile] * (dp[tile] - balance)",
        wrong="dh = p[tile] * dp[tile]",
    ),
    "sigmoid's slope": Bug(
        file="backward_kernels.py", right="dh = p[tile] * (1 - p[tile]) * dp[tile]",
        wrong="dh = p[tile] * dp[tile]",
    ),
    "frame gradient of the wrong rows": Bug(
        file="backward_kernels.py", right="grad_scores_ptr + begin * C, rows",
        wrong="grad_scores_ptr, rows",
    ),
    "chunk boundary one too far": Bug(
        file="tiles.py", right="tl.minimum(begin + CHUNK, end)",
        wrong="tl.minimum(begin + CHUNK + 1, end)",
    ),
    "the first of a warp's rows for all": Bug(
        file="backward_kernels.py", right="place = rows[held] * WIDTH + lane",
        wrong="place = rows[0] * WIDTH + lane",
    ),
    "the first of a warp's chunks for all": Bug(
        file="finish_kernels.py", right="pointers = in_ptr + number * plane + first * C",
        wrong="pointers = in_ptr + number * plane",
    ),
    "the first of a warp's videos for all": Bug(
        file="backward_kernels.py", right="videos = step + first + tl.arange(0, WARPS)[:, None]",
        wrong="videos = step + tl.arange(0, WARPS)[:, None]",
    ),
    "slot of the next chunk": Bug(
        file="tiles.py", right="slot = start // CHUNK + video\n",
        wrong="slot = (start + CHUNK - 1) // CHUNK + video\n",
    ),
    "scale of the Gaussian": Bug(
        file="tiles.py", right="INVERSE_SD * plane, tile, C) * SQRT_LOG2_E",
        wrong="INVERSE_SD * plane, tile, C) * LOG2_E",
    ),
    "d_sigma from v instead of v^2": Bug(
        file="backward_kernels.py", right="curve += g * tl.load(sums_ptr + 3 * plane",
        wrong="curve += g * tl.load(sums_ptr + 2 * plane",
    ),
    "rows beyond the chunk averaged": Bug(
        file="forward_kernels.py", right="bell = tl.where(inside, bell, 0.0)",
        wrong="bell = bell + 0.0",
    ),
    "average without its own gradient": Bug(
        file="finish_kernels.py", right="result -= share * mean", wrong="result -= 0.0 * mean",
    ),
    "means not kept for frame gradients": Bug(
        file="finish_kernels.py", right="tl.store(mean_ptr, mean, mask=used)",
        wrong="tl.store(mean_ptr, mean * 0.0, mask=used)",
    ),
    "a share that is a sum": Bug(
        file="finish_kernels.py",
        right="share = sums[7 + WHICH] / num_rows", wrong="share = sums[7 + WHICH]",
    ),
    "the local average not taken off": Bug(
        file="backward_kernels.py", right="dw = pg - local_share[None, :]", wrong="dw = pg",
    ),
    "the global average added": Bug(
        file="backward_kernels.py", right="dw = pg - global_share[None, :]",
        wrong="dw = pg + global_share[None, :]",
    ),
    "sum for the mean": Bug(
        file="tiles.py", right="mean = total / num_rows", wrong="mean = total + 0 * num_rows",
    ),
    "class logits squashed in the gradient": Bug(
        file="backward_kernels.py",
        right="""                if ACTIVATION == IDENTITY:
                    dh = dp[tile]""",
        wrong="""                if ACTIVATION == IDENTITY:
                    dh = p[tile] * dp[tile]""",
    ),
    "padding left unwritten": Bug(
        file="backward_kernels.py",
        right="""                if (tile + 1) * LANES > WIDTH:
                    mask = mask & (tile * LANES + lane < WIDTH)""",
        wrong="""                if True:
                    mask = mask & (tile * LANES + lane < C)""",
    ),
}  # fmt: skip


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Callable[[Bug | None], ModuleType]]:
    """Loads a copy of the kernels with a bug."""
    name = f"kernels_with_a_bug_{abs(hash(tmp_path))}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")

    def load(bug: Bug | None) -> ModuleType:
        for file in FILES:
            text = Path(launch.__file__).with_name(file).read_text(encoding="utf-8")
            if bug is not None and bug.file == file:
                assert text.count(bug.right) == 1, f"{bug.right!r} must stand once in {file}"
                text = text.replace(bug.right, bug.wrong)
            (folder / file).write_text(text, encoding="utf-8")
        return importlib.import_module(f"{name}.launch")

    sys.path.insert(0, str(tmp_path))
    yield load
    sys.path.remove(str(tmp_path))


def passes(kernels: ModuleType) -> bool:
    """Whether every check finds the kernels right. One that ends them otherwise is an error: what
    catches a bug is a wrong number, not a crash.
    """
    try:
        for case in CHECKS:
            check_case(kernels, case)
    except AssertionError:
        return False
    return True


def test_a_copy_without_a_bug_passes(copied: Callable[[Bug | None], ModuleType]) -> None:
    kernels = copied(None)
    assert kernels.__file__ != launch.__file__
    assert passes(kernels)


@pytest.mark.parametrize("what", BUGS)
def test_a_planted_bug_is_caught(what: str, copied: Callable[[Bug | None], ModuleType]) -> None:
    assert not passes(copied(BUGS[what]))
