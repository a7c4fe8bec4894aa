"""Who gets which job, by workers and a clock that are made up: no process, no second passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from made_transport import HANG, Course, MadeTransport, crash, done, numbered, talk

from wsgn.errors import EngineError, WsgnError
from wsgn.workers.pool import CRASHED, STALLED, Died, Done, Told, WorkerPool
from wsgn.workers.transport import Fatal, NumberedJob, Ready


def _run(
    transport: MadeTransport, courses: list[Course], num_workers: int = 2, **options: float
) -> list[Told | Done | Died]:
    settings = {"stall_seconds": 10.0} | options
    with WorkerPool(transport, num_workers, clock=transport.clock, **settings) as pool:
        assert pool.begin() == "info 0"
        return list(pool.run(numbered(courses)))


def test_each_job_is_done_once_on_workers_that_are_kept() -> None:
    transport = MadeTransport()
    messages = _run(transport, [done(3), *[done()] * 9])
    assert sorted(message.number for message in messages) == list(range(10))
    assert all(isinstance(message, Done) and message.result == "done" for message in messages)
    assert {worker for worker, _ in transport.sent} == {0, 1}
    # The long one kept one worker, the other went on.
    assert transport.now == pytest.approx(0.5 + 6)
    assert transport.closed


def test_a_crash_costs_its_job_and_a_new_worker_takes_the_next() -> None:
    transport = MadeTransport()
    messages = _run(transport, [crash(), done(), done(), crash(), done()])
    died = [message for message in messages if isinstance(message, Died)]
    assert [(message.number, message.code) for message in died] == [(0, CRASHED), (3, CRASHED)]
    assert "has ended (SIGSEGV): it is left out" in died[0].message
    assert sorted(m.number for m in messages if isinstance(m, Done)) == [1, 2, 4]
    # None was given out twice.
    assert sorted(number for _, number in transport.sent) == [0, 1, 2, 3, 4]


def test_silence_is_judged_by_the_last_word() -> None:
    """Nine seconds between words are none too many of ten; a word more, and a hang is one."""
    transport = MadeTransport()
    messages = _run(transport, [talk(9, 9, 9, 9), HANG, done()], stall_seconds=10)
    told = [message for message in messages if isinstance(message, Told)]
    assert [(message.number, message.news) for message in told] == [(0, 0), (0, 1), (0, 2)]
    died = [message for message in messages if isinstance(message, Died)]
    assert [(message.number, message.code) for message in died] == [(1, STALLED)]
    assert "nothing came of it for 10 s" in died[0].message
    assert len(transport.killed) == 1
    assert transport.now == pytest.approx(0.5 + 36)


def test_who_was_stopped_does_not_blame_the_workers() -> None:
    """The whole process, by Ctrl-Z for one, or a receiver of messages that takes its time."""
    transport = MadeTransport()
    with WorkerPool(transport, 2, stall_seconds=10, clock=transport.clock) as pool:
        pool.begin()
        messages: list[Told | Done | Died] = []
        for message in pool.run(numbered([talk(1, 30), talk(9, 4), done()])):
            if not messages:
                # What workers said meanwhile comes with the next look.
                transport.now += 25
            messages.append(message)
    assert not any(isinstance(message, Died) for message in messages)
    assert len([message for message in messages if isinstance(message, Done)]) == 3


def test_a_short_pause_of_the_receiver_is_no_excuse() -> None:
    transport = MadeTransport()
    with WorkerPool(transport, 2, stall_seconds=10, clock=transport.clock) as pool:
        pool.begin()
        ended = {}
        for message in pool.run(numbered([HANG, *[done(0.1)] * 4])):
            transport.now += 4
            ended[message.number] = transport.now
    # After ten seconds, and the pause in which they passed.
    assert 10.5 <= ended[0] - 4 <= 14.5 + 4


def test_a_signal_lets_workers_end_and_gives_out_nothing_more() -> None:
    transport, is_over = MadeTransport(), [False]
    asked: list[int] = []

    def jobs() -> Iterator[NumberedJob]:
        for number in range(10):
            asked.append(number)
            yield number, HANG if number == 1 else done()

    with WorkerPool(
        transport, 2, stall_seconds=10, stopping=lambda: is_over[0], clock=transport.clock
    ) as pool:
        pool.begin()
        messages = []
        for message in pool.run(jobs()):
            messages.append(message)
            is_over[0] = len(messages) >= 2
    # The one that hung came to an end when it was asked to.
    assert {message.number for message in messages} == {0, 1, 2}
    assert len(transport.interrupted) == 1
    assert max(asked) <= 4


def test_a_job_is_asked_for_when_there_is_a_hand_for_it() -> None:
    """What has become of the others may have changed what is to be done."""
    transport, asked, num_ended = MadeTransport(), [0], [0]

    def jobs() -> Iterator[NumberedJob]:
        for number in range(20):
            assert number - num_ended[0] < 3
            asked[0] += 1
            yield number, crash() if number % 5 == 1 else done()

    with WorkerPool(transport, 3, stall_seconds=10, clock=transport.clock) as pool:
        pool.begin()
        assert asked == [0]
        for _ in pool.run(jobs()):
            num_ended[0] += 1
    assert (asked, num_ended) == ([20], [20])


def test_a_crash_after_a_signal_is_nobodys_news() -> None:
    transport, is_over = MadeTransport(), [False]
    transport.interrupt = lambda worker: transport._plan(worker, crash(0.1))  # type: ignore[method-assign]
    with WorkerPool(
        transport, 1, stall_seconds=10, stopping=lambda: is_over[0], clock=transport.clock
    ) as pool:
        pool.begin()
        is_over[0] = True
        assert list(pool.run(numbered([HANG, HANG]))) == []


def test_a_worker_that_was_lost_while_idle_costs_nothing() -> None:
    transport = MadeTransport(deaf={0})
    messages = _run(transport, [done()] * 4)
    assert sorted(message.number for message in messages) == [0, 1, 2, 3]
    assert all(isinstance(message, Done) for message in messages)
    assert 0 not in {worker for worker, _ in transport.sent}


def test_what_cannot_open_ends_the_run() -> None:
    transport = MadeTransport(openings=lambda worker: crash())
    with (
        pytest.raises(EngineError, match=r"before it was ready \(SIGSEGV\): try fewer workers"),
        WorkerPool(transport, 2, stall_seconds=10, clock=transport.clock) as pool,
    ):
        pool.begin()
    assert transport.closed


def test_a_lost_machine_is_not_what_cannot_open() -> None:
    """Neither at the beginning nor for a worker that takes the place of another."""

    def opening(worker: int) -> Course:
        if worker in (0, 1, 3):
            return crash(with_machine=True)
        return ((0.5, Ready(info="info 0")),)

    transport = MadeTransport(openings=opening)
    messages = _run(transport, [crash(with_machine=True), done(), done()], num_workers=1)
    assert [(type(message), message.number) for message in messages] == [
        (Died, 0), (Done, 1), (Done, 2),
    ]  # fmt: skip


def test_what_no_job_caught_is_raised_as_it_was() -> None:
    fatal = Fatal(exit_code=6, sentence="the disk is full.", trace="where")
    with pytest.raises(WsgnError, match="the disk is full") as caught:
        _run(MadeTransport(), [done(), ((1.0, fatal),), done()])
    assert caught.value.exit_code == 6
    unforeseen = Fatal(exit_code=1, sentence="KeyError in a worker: 'a'", trace="its lines")
    with pytest.raises(RuntimeError, match="KeyError in a worker") as bug:
        _run(MadeTransport(), [((1.0, unforeseen),)])
    assert bug.value.__notes__ == ["its lines"]


def test_workers_still_opening_are_not_waited_for() -> None:
    def opening(worker: int) -> Course:
        return ((0.5 if worker == 0 else 1000.0, Ready(info="info 0")),)

    transport = MadeTransport(openings=opening)
    assert len(_run(transport, [done()] * 3, num_workers=8)) == 3
    assert transport.now == pytest.approx(3.5)


def test_a_look_costs_what_came_and_not_the_number_of_workers() -> None:
    """Steps of the pool, and calls of its transport, with 500 workers and with 5."""
    steps = {}
    for num_workers in (5, 500):
        transport = MadeTransport()
        counted = [0]
        wait = transport.wait

        def counting(seconds: float, wait=wait, counted=counted) -> list:  # type: ignore[no-untyped-def, type-arg]
            counted[0] += 1
            return wait(seconds)

        transport.wait = counting  # type: ignore[method-assign]
        assert len(_run(transport, [done()] * 1000, num_workers=num_workers)) == 1000
        steps[num_workers] = counted[0]
    assert steps[500] <= steps[5]
