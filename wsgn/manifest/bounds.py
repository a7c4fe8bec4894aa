"""What is beyond these is damage, or fills the memory before the first segment.

docs/manifest.md has them for people.
"""

from __future__ import annotations

from wsgn.errors import UsageError

# Of every number that is not bounded more closely.
LARGEST = 1e9
# A variance or deviation is divided by.
SMALLEST_DIVISOR = 1e-30
FRAME_RATES = (1e-3, 1e3)
MOST_FRAMES = 1_000_000
MOST_PIXELS_A_SIDE = 1 << 14
# Of one snippet: 16 frames of 1920 x 1080 are 95 MiB.
MOST_SNIPPET_BYTES = 1 << 27
MOST_CHANNELS = 1 << 20
MOST_CLASSES = 10_000
LONGEST_NAME = 1000
MOST_SMOOTHING = 10_001
MOST_THRESHOLDS = 1000


def require(condition: bool, message: str) -> None:
    """Raise a `UsageError` unless the condition holds."""
    if not condition:
        raise UsageError(message)


def require_numbers(record: object) -> None:
    """Every number of a record is finite and no larger than `LARGEST`."""
    for name, value in vars(record).items():
        for number in value if isinstance(value, tuple) else (value,):
            require(
                not isinstance(number, int | float) or abs(number) <= LARGEST,
                f"{name} must be finite and at most {LARGEST:g} in size, got {number}.",
            )


def require_not_negative(record: object, *names: str) -> None:
    """The named numbers of a record are 0 or more."""
    for name in names:
        value = getattr(record, name)
        require(value >= 0, f"{name} must not be negative, got {value}.")


def require_smoothing(num_snippets: int) -> None:
    """An odd number of snippets, not more than `MOST_SMOOTHING`."""
    require(
        num_snippets >= 1 and num_snippets % 2 == 1,
        f"smoothing_snippets must be odd and positive, got {num_snippets}.",
    )
    require(
        num_snippets <= MOST_SMOOTHING,
        f"smoothing_snippets must be at most {MOST_SMOOTHING}, got {num_snippets}.",
    )


def require_text(words: str) -> None:
    """Of a length that can be shown, and writable: JSON can hold half of a surrogate pair."""
    require(
        len(words) <= LONGEST_NAME,
        f"a name in the manifest is longer than {LONGEST_NAME} characters.",
    )
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the manifest's name {words!r} is no text: half of a surrogate pair stands in it."
        ) from error
