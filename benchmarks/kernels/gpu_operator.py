"""The operator alone on a GPU: every peer on every shape, beside the floor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.kernels.baselines import FUSED, Peer
from benchmarks.kernels.correctness import Examiner, Verdict, examiner
from benchmarks.kernels.results import BOTH, FORWARD, OperatorRow
from benchmarks.kernels.roofline import (
    arithmetic_floor,
    bytes_needed,
    dtype_name,
    floor_of,
    time_copy,
)
from benchmarks.kernels.session import GpuSession
from benchmarks.kernels.shapes import Shape, make_batch
from benchmarks.kernels.timing import Timing, captured, host_cost
from benchmarks.kernels.traces import count_launches, peak_device_bytes
from benchmarks.kernels.workload import Workload

# The host's own time is measured where the GPU has next to nothing to do.
MOST_SNIPPETS_FOR_HOST_COST = 1000


def measure_floor(session: GpuSession, shape: Shape, dtype: torch.dtype) -> None:
    """Copies of as many bytes, and the instructions of our kernels."""
    results = session.results
    for measured in (FORWARD, BOTH):
        copy = time_copy(session.stopwatch, bytes_needed(shape, measured, dtype), session.device)
        arithmetic = arithmetic_floor(shape, measured, dtype, results.compiled, results.machine)
        results.floors.append(floor_of(shape, measured, dtype, copy, arithmetic))


def measure_operator(
    session: GpuSession, shape: Shape, dtype: torch.dtype, peers: Sequence[Peer]
) -> None:
    """Rows for peers on one shape; what is wrong gets a row without times."""
    batch = make_batch(shape, dtype, session.device)
    judge = examiner(batch, session.results.softmax_scale)
    for peer in peers:
        what = f"{peer.name}, {shape.name}, {dtype_name(dtype)}"
        with session.guarded(what, ours=peer is FUSED):
            _measure_peer(session, shape, peer, judge)
        # A caching allocator full of another peer's blocks would be part of the next one's time.
        torch.cuda.empty_cache()


def _measure_peer(session: GpuSession, shape: Shape, peer: Peer, judge: Examiner) -> None:
    workload = Workload(peer, judge.batch, judge.softmax_scale)
    for measured, work in ((FORWARD, workload.forward), (BOTH, workload.both)):
        row = OperatorRow(
            shape=shape.name,
            dtype=dtype_name(judge.batch.x.dtype),
            measured=measured,
            implementation=peer.name,
            verdict=judge.compare(workload.outcome(work())),
        )
        if row.verdict.is_right and not session.check_only:
            row = _timed(session, row, work)
            row = _timed_as_graph(session, row, work, workload, judge)
            if shape.num_snippets <= MOST_SNIPPETS_FOR_HOST_COST and row.verdict.is_right:
                row = replace(row, host_time=host_cost(work))
        session.add(row)


def _timed(
    session: GpuSession, row: OperatorRow, work: Callable[[], Sequence[Tensor]]
) -> OperatorRow:
    return replace(
        row,
        time=session.stopwatch.time(work),
        peak_bytes=peak_device_bytes(work),
        # The profiler may be out of order on a machine, and no work starts nothing.
        launches=count_launches(work) or None,
    )


def _timed_as_graph(
    session: GpuSession,
    row: OperatorRow,
    work: Callable[[], Sequence[Tensor]],
    workload: Workload,
    judge: Examiner,
) -> OperatorRow:
    """Replay into outputs full of NaN and compare again; a wrong replay takes every time away."""
    what = f"CUDA graph, {row.implementation}, {row.shape}, {row.dtype}, {row.measured}"
    with session.guarded(what, ours=row.implementation == FUSED.name):
        replay, outputs = captured(work)
        verdict = _verdict_of_replay(replay, outputs, workload, judge)
        if not verdict.is_right:
            return replace(row, verdict=verdict, time=None)
        graph_time: Timing = session.stopwatch.time(replay)
        return replace(row, graph_time=graph_time)
    return row


def _verdict_of_replay(
    replay: Callable[[], object], outputs: Sequence[Tensor], workload: Workload, judge: Examiner
) -> Verdict:
    for output in outputs:
        output.fill_(torch.nan)
    replay()
    return judge.compare(workload.outcome(outputs))
