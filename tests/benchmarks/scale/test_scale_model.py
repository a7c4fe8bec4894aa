"""The arithmetic of a prediction, against cases that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scale.fit import Amounts, fit
from benchmarks.scale.machines import Machine, Store, read_places
from benchmarks.scale.model import (
    SHARDS,
    WORKERS,
    Faults,
    Footage,
    Lengths,
    Network,
    Outcome,
    Workload,
    cameras_once,
    run_once,
)
from benchmarks.scale.schedule import finish_of_queue, least_seconds, shares
from wsgn.errors import UsageError

# Round, so that sums can be done in the head: 10 frames of 100 pixels a second.
COSTS = {
    "start": 5.0, "video": 1.0, "snippet": 0.01, "engine_snippet": 0.04, "decode_frame": 0.001,
    "decode_pixel": 0.00001, "worker_start": 2.0, "worker_video": 0.5, "parent_video": 0.1,
    "merge_start": 3.0, "merge_video": 0.01, "resume_video": 0.0, "file": 0.25,
    "disk_megabyte": 0.0, "camera": 0.03, "camera_memory": 10.0, "camera_process_memory": 200.0,
}  # fmt: skip
FOOTAGE = Footage(width=10, height=10, frames_per_second=10.0, megabits_per_second=8.0)
NETWORK = Network(snippets_per_second=2.0)
# A second: 10 x (0.001 + 0.001) of decoding, 2 x (0.04 + 0.01) of the engine and segments: 0.12 s.
# A video of 50 s: 6 + 1 + 0.5 with a worker, and two files at 0.25 on the wall: 8 s.
VIDEO_SECONDS = 50.0


def run(
    *, workers: int, cores: int, form: str, videos: int = 100, costs: dict[str, float] = COSTS,
    **machine: float,
) -> Outcome:  # fmt: skip
    load = Workload(
        num_videos=videos,
        lengths=Lengths(mean_seconds=VIDEO_SECONDS),
        footage=FOOTAGE,
        network=NETWORK,
        faults=Faults(),
    )
    one = Machine(name="made up", cores=cores, **machine)  # type: ignore[arg-type]
    return run_once(np.random.default_rng(0), costs, one, load, form, workers)


def test_one_worker_does_one_video_after_the_other() -> None:
    outcome = run(workers=1, cores=1, form=WORKERS)
    # Nothing is merged.
    assert outcome.seconds == pytest.approx(5 + 2 + 100 * 8)
    assert outcome.machine_seconds == pytest.approx(outcome.seconds)
    assert (outcome.over_least, outcome.again_seconds, outcome.failed_videos) == (
        pytest.approx(807 / 800), 0, 0,
    )  # fmt: skip


# Of 100 videos two shards of 4 workers have 50 each, and both end with a 13th round; of 8 shards
# the first four, on one machine, have 13 and the others 12.
@pytest.mark.parametrize(("form", "second_machine"), [(WORKERS, 13), (SHARDS, 12)])
def test_workers_share_and_their_shards_are_merged(form: str, second_machine: int) -> None:
    outcome = run(workers=8, cores=4, form=form)
    merging = 3 + 100 * 0.01
    assert outcome.seconds == pytest.approx(7 + 13 * 8 + merging)
    assert outcome.machine_seconds == pytest.approx(
        (7 + 13 * 8) + (7 + second_machine * 8) + merging
    )


def test_twice_as_fast_is_half_the_processor_time_and_no_less_waiting() -> None:
    fast = run(workers=1, cores=1, form=WORKERS, speed=2.0)
    assert fast.seconds == pytest.approx(3.5 + 100 * (7.5 / 2 + 0.5))


def test_one_process_cannot_hand_out_more_than_it_can() -> None:
    slow = run(workers=100, cores=100, form=WORKERS, costs=COSTS | {"parent_video": 0.2})
    assert slow.seconds == pytest.approx(7 + 100 * 0.2)


def test_a_store_is_shared_by_the_workers_of_a_machine() -> None:
    store = Store(request_milliseconds=50, request_megabytes=2, megabytes_per_second=100)
    # 5 requests of 50 ms, and 10 MB at a quarter of 100 MB/s.
    assert store.seconds(10, readers=4) == pytest.approx(0.25 + 0.4)


def test_faults_cost_a_part_of_their_video_and_a_start() -> None:
    load = Workload(
        num_videos=4000,
        lengths=Lengths(mean_seconds=VIDEO_SECONDS),
        footage=FOOTAGE,
        network=NETWORK,
        faults=Faults(crash=0.25, hang=0.25, stall_seconds=100.0),
    )
    machine = Machine(name="made up", cores=1)
    outcome = run_once(np.random.default_rng(0), COSTS, machine, load, WORKERS, 1)
    assert outcome.failed_videos == pytest.approx(2000, abs=100)
    # Half are whole, the others half of that and a worker's start, and every other of them waits.
    mean = 0.5 * 8 + 0.5 * (4 + 2) + 0.25 * 100
    assert outcome.video_seconds / 4000 == pytest.approx(mean, rel=0.03)


def test_an_outage_undoes_what_was_under_way() -> None:
    """Two workers, jobs of 10 s: at 25 s two jobs are 5 s old; back at 35, and 4 looks later."""
    finish = finish_of_queue(
        np.full(6, 10.0), 2, outages=[25.0], restart_seconds=10.0, look_seconds=0.5
    )
    assert finish.seconds == pytest.approx(35 + 4 * 0.5 + 10)
    assert finish.lost_seconds == pytest.approx(2 * 5)
    assert finish.num_outages == 1


def test_an_outage_while_it_starts_starts_it_anew() -> None:
    finish = finish_of_queue(np.full(1, 10.0), 1, outages=[5.0, 12.0], restart_seconds=10.0)
    assert (finish.seconds, finish.num_outages) == (pytest.approx(32), 2)


def test_machines_that_fail_all_the_time_do_not_hang_the_model() -> None:
    with pytest.raises(UsageError, match="fail so often"):
        run(workers=1, cores=1, form=WORKERS, videos=1, failures_per_hour=1e7)


def test_shares_are_those_of_shards_and_none_is_empty() -> None:
    assert [list(part) for part in shares(np.arange(5.0), 3)] == [[0, 3], [1, 4], [2]]
    assert len(shares(np.arange(2.0), 8)) == 2
    assert least_seconds([8.0, 1.0, 1.0], 2) == 8.0


def test_lengths_have_the_mean_that_was_asked_for() -> None:
    drawn = Lengths(mean_seconds=180.0, spread=0.88).draw(np.random.default_rng(0), 200_000)
    assert drawn.mean() == pytest.approx(180, rel=0.01)
    assert np.log(drawn).std() == pytest.approx(0.88, rel=0.01)


def test_cameras_fill_machines_up_to_their_share() -> None:
    machine = Machine(name="made up", cores=4, failures_per_hour=0.5, restart_seconds=55.0)
    found = cameras_once(np.random.default_rng(0), COSTS, machine, 100, FOOTAGE, NETWORK, 0.5)
    # 0.02 of decoding, 0.08 of the engine and 0.03 more: 0.13; 2 cores have room for 15.
    assert found.core_share == pytest.approx(0.13)
    assert found.machines == 7
    assert found.megabytes_per_machine == pytest.approx(200 + 15 * 10)
    assert found.dark_seconds == pytest.approx(24 * 0.5 * 60)


def test_constants_that_were_put_in_are_found_again() -> None:
    """Timings made of known constants, at 5 repeats that differ by nothing."""
    amounts = Amounts(repeats=5)
    base, pixel, engine, rate = 50e-6, 8e-9, 1.5e-3, 2.5
    second = 25 * (base + pixel * 160 * 120) + rate * (engine + 0.2e-3)

    def took(start: float, video: float, unit: float, count: int, length: float) -> float:
        return start + count * (video + length * unit)

    videos, features = amounts.videos, amounts.features
    one, many = (took(0.4, 3e-3, second, count, 2) for count in (1, videos))
    timings = {
        "decode 120": base + pixel * 160 * 120, "decode 240": base + pixel * 320 * 240,
        "decode 720": base + pixel * 1280 * 720, "engine": engine, "one": one, "many": many,
        "long": took(0.4, 3e-3, second, 4, 60), "one worked": one + 0.3 + 1e-3,
        "many worked": many + 0.3 + 1e-3 * videos, "one handed out": 0.2,
        "many handed out": 0.2 + 0.5e-3 * (videos - 1),
        "features one": took(0.5, 4e-3, 0.1e-3, 1, 50),
        "features many": took(0.5, 4e-3, 0.1e-3, features, 50),
        "features long": took(0.5, 4e-3, 0.1e-3, 4, 2000),
        "one merged": 0.3, "many merged": 0.3 + 0.2e-3 * (features - 1),
        "one resumed": 0.5, "many resumed": 0.5 + 0.1e-3 * (features - 1),
        "disk_megabyte": 0.01, "file": 0.02, "reference": 0.3,
        "cameras together": 25 * (base + pixel * 320 * 240) + rate * engine + 4e-3,
        "memory together": 90 + 12 * 5.0, "memory apart": 12 * 95.0, "cameras apart": 0.1,
    }  # fmt: skip
    found = fit({name: [value] * 5 for name, value in timings.items()}, amounts, rate)
    wanted = {
        "decode_frame": base, "decode_pixel": pixel, "engine_snippet": engine, "start": 0.4,
        "video": 3e-3, "snippet": 0.2e-3, "worker_start": 0.301, "worker_video": 1e-3,
        "parent_video": 0.5e-3, "feature_start": 0.5, "feature_video": 4e-3,
        "feature_snippet": 0.1e-3, "merge_start": 0.3, "merge_video": 0.2e-3,
        "resume_video": 0.1e-3, "disk_megabyte": 0.01, "file": 0.02, "reference": 0.3,
        "camera": 4e-3, "camera_memory": 5.0, "camera_process_memory": 90.0,
    }  # fmt: skip
    assert {name: draws[0] for name, draws in found.items()} == pytest.approx(wanted)


def test_the_example_of_machines_is_read() -> None:
    from benchmarks.scale.machines import EXAMPLE

    places = read_places(EXAMPLE)
    assert [machine.cores for machine in places.machine] == [2, 64]
    # A unit for a core and hour: no price of anybody's.
    assert all(machine.price == machine.cores for machine in places.machine)
    assert places.store is not None
