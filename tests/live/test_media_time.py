"""Media time of live sources, on given clocks: over connections, jumps, drifts and lags."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgn.video import Gap
from wsgn.video.live.clock import MediaClock
from wsgn.video.live.timeline import LiveTimeline, Placement

GRID = 10.0
PICTURE = 0.04
# Seconds that an opening holds back.
LONGEST = 1.5


@dataclass
class Filming:
    """A camera at 25/s: pictures are filmed as this clock goes, and placed as they arrive."""

    timeline: LiveTimeline = field(default_factory=lambda: LiveTimeline(MediaClock(), GRID))
    now: float = 1000.0
    # Raw time less this clock.
    offset: float = 0.0
    placed: list[tuple[float, Placement]] = field(default_factory=list)

    def connect(self, offset: float, *, held_back: float = 0.0) -> None:
        """Open; pictures of the last seconds come at once."""
        self.timeline.connect()
        self.offset = offset
        begin = self.now - held_back
        for index in range(round(held_back / PICTURE)):
            self.picture(begin + index * PICTURE)

    def film(self, seconds: float, *, delay: float = 0.0) -> None:
        """Pictures for so long, each so late."""
        for _ in range(round(seconds / PICTURE)):
            self.picture(self.now - delay)
            self.now += PICTURE

    def picture(self, filmed: float) -> Placement | None:
        placement = self.timeline.place(filmed + self.offset, PICTURE, self.now)
        if placement is not None:
            self.placed.append((filmed, placement))
        return placement

    @property
    def gaps(self) -> list[Gap]:
        return [placement.gap for _, placement in self.placed if placement.gap is not None]

    @property
    def last(self) -> Placement:
        return self.placed[-1][1]


connections = st.lists(
    st.tuples(
        st.floats(0.0, 40.0),  # away
        st.floats(0.0, LONGEST),  # held back by the opening
        st.floats(0.1, 15.0),  # filmed
        st.floats(-1e5, 1e5),  # the camera's own clock
    ),
    min_size=1,
    max_size=12,
)


@given(connections)
@settings(max_examples=40, deadline=None)
def test_over_connections_time_follows_the_wall_and_never_falls(
    plan: list[tuple[float, float, float, float]],
) -> None:
    camera = Filming()
    for away, held_back, filmed, offset in plan:
        camera.now += away
        # Only what was filmed since the last picture is news.
        camera.connect(offset, held_back=min(away, held_back))
        camera.film(filmed)
    times = [placement.seconds for _, placement in camera.placed]
    assert times == sorted(times)
    first = camera.placed[0][0]
    for filmed, placement in camera.placed:
        # An epoch runs ahead by what its opening held back, once, however many there were before;
        # what follows at its end is put on the grid each time.
        ahead = placement.seconds - (filmed - first)
        assert -LONGEST - 0.1 <= ahead <= LONGEST + (len(plan) + 1) / GRID
    epochs = [placement.epoch for _, placement in camera.placed]
    assert set(epochs) == set(range(epochs[-1] + 1))
    assert all(
        after.seconds > before.seconds
        and after.seconds * GRID == pytest.approx(round(after.seconds * GRID), abs=1e-4)
        for (_, before), (_, after) in zip(camera.placed, camera.placed[1:], strict=False)
        if after.epoch != before.epoch
    )


def test_what_openings_hold_back_does_not_add_up() -> None:
    camera = Filming()
    for _ in range(60):
        camera.now += 3.0
        camera.connect(0.0, held_back=1.0)
        camera.film(20.0)
    filmed, last = camera.placed[-1]
    assert last.seconds == pytest.approx(filmed - camera.placed[0][0], abs=1.2)
    assert {gap.cause for gap in camera.gaps} == {"lost"}
    # Nor does a connection that holds nothing back look late beside them.
    camera.now += 3.0
    camera.connect(0.0)
    camera.film(20.0)
    assert camera.last.lag_seconds == pytest.approx(0.0, abs=0.01)
    # Away for 3 s, less what was filmed then and is held back.
    assert all(1.9 <= gap.to_seconds - gap.from_seconds <= 3.2 for gap in camera.gaps)


@pytest.mark.parametrize("drift", [50e-6, -50e-6])
def test_a_camera_whose_clock_drifts_is_followed(drift: float) -> None:
    clock = MediaClock()
    clock.observe(-100.0, -100.0)
    clock.begin_epoch(0.0, new_connection=True)
    day = range(0, 86_400, 10)
    lags = [clock.observe(at, at * (1 + drift)) for at in map(float, day)]
    assert max(lags) <= 600 * 50e-6 + 1e-9
    # An outage of 5 s is one of 5 s, though the camera is 4.3 s off by now.
    media = day[-1] * (1 + drift)
    assert clock.now(day[-1] + 5.0) == pytest.approx(media + 5.0, abs=0.05)


@pytest.mark.parametrize("jump", [3600.0, -2.0, -1e5])
def test_a_jump_begins_an_epoch_and_time_goes_on(jump: float) -> None:
    camera = Filming()
    camera.connect(0.0)
    camera.film(5.0)
    camera.offset += jump
    camera.film(5.0)
    assert camera.last.epoch == 1
    assert camera.gaps == []
    assert camera.last.seconds == pytest.approx(10.0, abs=0.2)


def test_a_hole_in_a_connection_is_a_gap() -> None:
    camera = Filming()
    camera.connect(0.0)
    camera.film(5.0)
    camera.now += 3.0
    camera.film(1.0)
    (gap,) = camera.gaps
    assert (gap.cause, camera.last.epoch) == ("jump", 1)
    assert gap.from_seconds == pytest.approx(5.0)
    assert gap.to_seconds == pytest.approx(8.0, abs=0.11)


def test_pictures_that_come_out_of_order_are_left_out() -> None:
    camera = Filming()
    camera.connect(0.0)
    camera.film(2.0)
    assert camera.picture(camera.now - 0.5) is None
    camera.film(1.0)
    assert camera.last.epoch == 0
    assert camera.last.seconds == pytest.approx(3.0, abs=0.05)


def test_a_lag_stays_known_over_what_is_left_out_and_over_jumps() -> None:
    camera = Filming()
    camera.connect(0.0)
    camera.film(5.0)
    # Nothing is read for 2 s, and all of it comes behind that.
    camera.now += 2.0
    camera.film(2.0, delay=2.0)
    assert camera.last.lag_seconds == pytest.approx(2.0, abs=0.05)
    camera.timeline.leave_out()
    camera.film(1.0, delay=0.5)
    assert camera.last.lag_seconds == pytest.approx(0.5, abs=0.05)
    assert (camera.gaps[-1].cause, camera.last.epoch) == ("late", 1)
    # Media time is when it was filmed.
    assert camera.last.seconds == pytest.approx(camera.placed[-1][0] - 1000.0, abs=0.05)
    camera.offset += 500.0
    camera.film(1.0, delay=0.5)
    assert camera.last.lag_seconds == pytest.approx(0.5, abs=0.15)


def test_a_playlist_goes_on_where_it_was() -> None:
    camera = Filming()
    camera.connect(0.0)
    camera.film(10.0)
    end = camera.now
    camera.now += 3.0
    camera.timeline.connect(joins_until=camera.now + 30)
    # The playlist still begins with what was seen.
    seen = [camera.picture(end - 4.0 + index * PICTURE) for index in range(99)]
    assert seen == [None] * 99
    placement = camera.picture(end)
    assert placement is not None
    assert (placement.epoch, placement.gap) == (0, None)
    assert placement.seconds == pytest.approx(10.0, abs=0.05)


def test_a_playlist_that_was_made_anew_is_not_taken_for_seen() -> None:
    camera = Filming()
    camera.connect(0.0)
    camera.film(60.0)
    camera.timeline.connect(joins_until=camera.now + 30)
    # Its times begin anew within what would have been seen, and so for longer than a playlist is.
    camera.offset -= 50.0
    camera.film(40.0)
    assert camera.last.epoch == 1
    assert camera.last.seconds == pytest.approx(100.0, abs=0.2)


def test_an_earlier_run_is_gone_on_from() -> None:
    # At 1000 of this clock the earlier run would have been at 500.
    timeline = LiveTimeline(MediaClock(500.0), GRID, end_seconds=470.0, epoch=3)
    camera = Filming(timeline=timeline)
    camera.connect(0.0)
    camera.film(2.0)
    (gap,) = camera.gaps
    assert (gap.from_seconds, gap.to_seconds, gap.cause) == (470.0, 500.0, "lost")
    assert camera.last.epoch == 4
