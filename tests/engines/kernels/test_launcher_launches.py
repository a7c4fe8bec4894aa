"""The launcher without torch queues the very launches of `kernels/launch.py`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from launch_devices import RecordingDevice

from wsgn.engines.kernels.bundle import SCRATCH, read_bundle
from wsgn.engines.kernels.launcher import SelectionKernels
from wsgn.errors import UsageError
from wsgn.manifest import COMPONENTS, SelectionRule
from wsgn.selection.reference import Inputs, Options

pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter compiles nothing", allow_module_level=True)
from wsgn.kernels import launch
from wsgn.kernels.ahead_of_time import bundle

EPSILON = 3e-6
MODELS = [
    Options(20, True, True, True, "max_one", "softmax", EPSILON),
    # Five tiles of classes, a factor for the softmax.
    Options(157, True, False, True, "mean_one", "softmax", EPSILON),
    # No statistics, no row numbers.
    Options(33, False, True, False, "sum_one", "sigmoid", EPSILON),
    # Frame scores by a kernel of their own; more sums and statistics.
    Options(40, True, True, True, "mean_one", "softmax", EPSILON, "average", "soft", 0.3),
]


def rule_of(options: Options) -> SelectionRule:
    flags = (options.use_local, options.use_global, options.use_softmax)
    return SelectionRule(
        components=tuple(name for name, used in zip(COMPONENTS, flags, strict=True) if used),
        softmax_scale=options.softmax_scale,
        class_activation=options.class_activation,
        global_mean=tuple(np.linspace(-1, 1, options.num_classes)) if options.use_global else (),
        global_std=(0.5,) * options.num_classes if options.use_global else (),
        variance_epsilon=options.epsilon,
        weight_scale=options.weight_scale,
        gate=options.gate,
        gate_level=options.gate_level,
    )


@pytest.fixture(scope="module", params=MODELS, ids=lambda options: f"{options.num_classes}")
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Options, Path]:
    folder = tmp_path_factory.mktemp("bundle")
    bundle.write_bundle(bundle.compile_bundle(request.param, [90]), folder)
    return request.param, folder


class Roles:
    """Buffers by the order in which they are first passed, with their sizes."""

    def __init__(self) -> None:
        self._seen: list[int] = []

    def role(self, start: int, num_bytes: int, offset: int) -> tuple[int, int, int]:
        """The buffer's number, its bytes and how far behind its start the pointer lies."""
        if start not in self._seen:
            self._seen.append(start)
        return self._seen.index(start), num_bytes, offset


def launches_with_torch(options: Options, offsets: np.ndarray) -> list[Any]:
    """Name, grid and arguments of `launch.forward`."""
    found: list[Any] = []
    roles, keep = Roles(), []

    def argument(value: object) -> object:
        if not isinstance(value, torch.Tensor):
            return value
        storage = value.untyped_storage()
        keep.append(storage)
        offset = value.storage_offset() * value.element_size()
        if storage.nbytes() == 0:
            return "nothing"
        return roles.role(storage.data_ptr(), storage.nbytes(), offset)

    def record(kernel: Any, grid: tuple[int, ...], *arguments: object, **constants: Any) -> None:
        whole_grid = (*grid, 1, 1)[:3]
        values = [argument(value) for value in arguments if value is not None]
        found.append((kernel.__name__, whole_grid, 32 * constants["num_warps"], values))

    size = (int(offsets[-1]), options.num_classes)
    inputs = Inputs(
        x=torch.zeros(size),
        h=torch.zeros(size),
        cu_seqlens=torch.from_numpy(offsets),
        mu=torch.zeros(options.num_classes),
        sigma=torch.ones(options.num_classes),
    )
    launch.forward(inputs, options, frame_scores=True, launch=record)
    return found


def launches_without(options: Options, folder: Path, offsets: np.ndarray) -> list[Any]:
    """The same of the launcher, without the scratch pointers."""
    device = RecordingDevice()
    x = np.zeros((int(offsets[-1]), options.num_classes), np.float32)
    with SelectionKernels.open(folder, device, rule_of(options), options.num_classes) as kernels:
        kernels.score(x, x, offsets)
        (target,) = read_bundle(folder).targets
        declared = {kernel.name: kernel.parameters for kernel in target.kernels}
        roles = Roles()

        def argument(value: np.generic) -> object:
            if value.dtype != np.uint64:
                return value.item()
            if value == 0:
                return "nothing"
            buffer = device.buffer_at(int(value))
            return roles.role(buffer.address, buffer.num_bytes, int(value) - buffer.address)

        found = []
        for launch in device.launches:
            parameters = declared[launch.kernel.name]
            pairs = list(zip(parameters, launch.arguments, strict=True))
            scratch = [value for parameter, value in pairs if parameter.name == SCRATCH]
            assert scratch == [0, 0]
            values = [argument(value) for parameter, value in pairs if parameter.name != SCRATCH]
            found.append((launch.kernel.name, launch.grid, launch.block[0], values))
            assert launch.block[1:] == (1, 1)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_launches_are_those_of_the_training_kernels(
    model: tuple[Options, Path], seed: int
) -> None:
    """Names, grids, threads, sizes, epsilon, and which buffer of which size stands where."""
    options, folder = model
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, [1, 40, 129, 700][seed % 4] + 1, generator.integers(1, 9))
    offsets = np.concatenate([[0], lengths.cumsum()])
    wanted = launches_with_torch(options, offsets)
    got = launches_without(options, folder, offsets)
    # float32 holds what the kernel gets.
    wanted = [
        (*head, [float(np.float32(v)) if isinstance(v, float) else v for v in values])
        for *head, values in wanted
    ]
    assert [tuple(launch) for launch in wanted] == got


def test_arguments_have_the_types_that_the_code_declares(model: tuple[Options, Path]) -> None:
    options, folder = model
    device = RecordingDevice()
    x = np.zeros((300, options.num_classes), np.float32)
    with SelectionKernels.open(folder, device, rule_of(options), options.num_classes) as kernels:
        kernels.score(x, x, np.array([0, 100, 300]))
    widths = {"u64": np.uint64, "u32": np.int32, "f32": np.float32}
    (target,) = read_bundle(folder).targets
    for launched, kernel in zip(device.launches, target.kernels, strict=True):
        wanted = [widths[parameter.ptx_type] for parameter in kernel.parameters]
        assert [type(value) for value in launched.arguments] == wanted
        assert launched.dynamic_shared_bytes == launched.kernel.dynamic_shared_bytes
        assert launched.dynamic_shared_bytes == kernel.shared_bytes


def test_memory_is_kept_for_smaller_batches_and_given_back(model: tuple[Options, Path]) -> None:
    options, folder = model
    device = RecordingDevice()
    x = np.zeros((300, options.num_classes), np.float32)
    with SelectionKernels.open(folder, device, rule_of(options), options.num_classes) as kernels:
        kernels.score(x, x, np.array([0, 100, 300]))
        allocated = len(device.buffers)
        kernels.score(x[:50], x[:50], np.array([0, 50]))
        assert len(device.buffers) == allocated
        kernels.score(np.tile(x, (2, 1)), np.tile(x, (2, 1)), np.array([0, 600]))
        assert len(device.buffers) > allocated
    assert all(buffer.freed for buffer in device.buffers)


@pytest.mark.parametrize(
    ("rows", "more", "offsets", "said"),
    [
        (10, 0, [0, 4, 4, 10], "must rise from 0 to N = 10"),
        (10, 0, [0, 12, 10], "must rise"),
        (10, 0, [1, 10], "must rise"),
        (10, 0, [0, 9], "must rise"),
        (10, 0, [0], "must rise"),
        (10, 0, [[0, 10]], "must rise"),
        (10, 0, [0.0, 10.0], "must be integers, got float64"),
        (10, -1, [0, 10], r"must be \(N, \d+\), got \(10, \d+\)"),
    ],
)
def test_a_wrong_batch_is_refused_before_anything_is_queued(
    model: tuple[Options, Path], rows: int, more: int, offsets: list[Any], said: str
) -> None:
    options, folder = model
    device = RecordingDevice()
    x = np.zeros((rows, options.num_classes + more), np.float32)
    with SelectionKernels.open(folder, device, rule_of(options), options.num_classes) as kernels:
        with pytest.raises(UsageError, match=said):
            kernels.score(x, x, np.array(offsets))
        assert device.launches == []
