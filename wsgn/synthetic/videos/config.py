"""What a set of synthetic videos looks like, and how hard it is."""

from dataclasses import dataclass

from wsgn.errors import UsageError

ACTION_CLASSES = ("wave", "jump", "squat", "turn", "kick", "bow", "clap")

MIN_FRAME_SIDE = 64


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """Frame format and everything the camera does to a scene."""

    # Frame width and height in pixels; even, as yuv420p wants.
    width: int = 192
    height: int = 144
    # Frames per second.
    frame_rate: int = 15
    # Canvas pixels drawn per frame pixel and axis, averaged afterwards for smooth edges.
    supersampling: int = 2
    # Largest camera translation as a fraction of the frame width.
    camera_shake_fraction: float = 0.012
    # Largest change of the camera's zoom.
    camera_zoom_fraction: float = 0.015
    # Standard deviation of the sensor noise in grey levels of 255.
    noise_levels: float = 4.0
    # Largest relative change of brightness over time.
    flicker_fraction: float = 0.03
    # Constant rate factor of the H.264 encoder: larger is smaller and coarser.
    encoder_quality_crf: int = 25

    def __post_init__(self) -> None:
        if min(self.width, self.height) < MIN_FRAME_SIDE or self.width % 2 or self.height % 2:
            raise UsageError(
                f"The frame size is {self.width}x{self.height} pixels; "
                f"use even numbers of at least {MIN_FRAME_SIDE}."
            )
        if self.frame_rate < 5:
            raise UsageError(
                f"The frame rate is {self.frame_rate} frames per second; use 5 or more."
            )
        if self.supersampling < 1:
            raise UsageError(f"The supersampling is {self.supersampling}; use 1 or more.")


@dataclass(frozen=True, kw_only=True)
class TimelineConfig:
    """Who does what when, and how much performances differ."""

    # Length of a video in seconds.
    min_duration_seconds: float = 16.0
    max_duration_seconds: float = 30.0
    # Action instances of the first figure, and distinct classes among them.
    max_actions: int = 4
    max_classes: int = 3
    # Length of one action instance in seconds.
    min_action_seconds: float = 1.6
    max_action_seconds: float = 5.0
    # Shortest stretch of idling or walking around an action in seconds.
    min_rest_seconds: float = 1.5
    # Time over which one activity passes into the next, in seconds.
    blend_seconds: float = 0.25
    # Largest relative change of an action's tempo and of its amplitude.
    tempo_variation: float = 0.18
    amplitude_variation: float = 0.15
    # Chance that a second figure is in the scene, and that it acts if it is.
    second_figure_probability: float = 0.3
    second_figure_acts_probability: float = 0.35

    def __post_init__(self) -> None:
        shortest = self.min_action_seconds + 2 * self.min_rest_seconds
        if not shortest <= self.min_duration_seconds <= self.max_duration_seconds:
            raise UsageError(
                f"The durations are {self.min_duration_seconds} to {self.max_duration_seconds} "
                f"seconds; the shorter must come first and leave {shortest} seconds for one action."
            )
        if not 0 < self.min_action_seconds <= self.max_action_seconds:
            raise UsageError(
                f"Actions last {self.min_action_seconds} to {self.max_action_seconds} seconds; "
                "give two positive numbers, the shorter first."
            )


@dataclass(frozen=True, kw_only=True)
class SyntheticVideosConfig:
    """A whole set of synthetic videos."""

    # Videos of the two subsets.
    num_train: int = 120
    num_test: int = 40
    # Everything is drawn from this number.
    seed: int = 0
    scene: SceneConfig = SceneConfig()
    timeline: TimelineConfig = TimelineConfig()

    def __post_init__(self) -> None:
        if self.num_train < 0 or self.num_test < 0 or self.seed < 0:
            raise UsageError(
                f"num_train, num_test and seed are {self.num_train}, {self.num_test} and "
                f"{self.seed}; none may be negative."
            )
