"""The machines and the store of a prediction, from a file of the user's."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import InputError, UsageError
from wsgn.support.records import record_from_dict

# An example, with what it leaves to the reader.
EXAMPLE = Path(__file__).parent / "machines.toml"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One kind of machine."""

    name: str
    cores: int
    # Of whatever currency; 1 a core and hour where nothing is said.
    price_per_hour: float | None = None
    # Of a core, beside one on which constants were measured, and how far it may be off.
    speed: float = 1.0
    speed_spread: float = 0.0
    failures_per_hour: float = 0.0
    # From a failure until another machine has started.
    restart_seconds: float = 120.0
    gpu: str | None = None

    def __post_init__(self) -> None:
        if self.gpu is not None:
            raise UsageError(
                f"machine '{self.name}' has a GPU ({self.gpu}), and none was measured: describe it "
                "by its cores alone, or measure on it."
            )
        if self.cores < 1 or self.speed <= 0 or not 0 <= self.speed_spread < 1:
            raise UsageError(
                f"machine '{self.name}' needs at least 1 core, a speed above 0 and a speed_spread "
                "of at least 0 and under 1."
            )
        if min(self.price, self.failures_per_hour, self.restart_seconds) < 0:
            raise UsageError(f"machine '{self.name}' has a price, rate or time below 0.")

    @property
    def price(self) -> float:
        """Of an hour."""
        return float(self.cores) if self.price_per_hour is None else self.price_per_hour


@dataclass(frozen=True, kw_only=True)
class Store:
    """An object store, as one machine sees it."""

    request_milliseconds: float
    # What one request asks for.
    request_megabytes: float
    megabytes_per_second: float

    def __post_init__(self) -> None:
        if min(self.request_megabytes, self.megabytes_per_second) <= 0:
            raise UsageError("the store needs request_megabytes and megabytes_per_second above 0.")
        if self.request_milliseconds < 0:
            raise UsageError("the store's request_milliseconds are below 0.")

    def seconds(self, megabytes: float, readers: int) -> float:
        """Until so much has come, one request after the other, beside as many other readers."""
        requests = megabytes / self.request_megabytes
        share = self.megabytes_per_second / readers
        return requests * self.request_milliseconds / 1e3 + megabytes / share


@dataclass(frozen=True, kw_only=True)
class Places:
    """Machines, and where videos lie: None is a disk of each machine."""

    machine: tuple[Machine, ...]
    store: Store | None = None


def read_places(path: Path) -> Places:
    """Of a TOML file. Raises `InputError`, or `UsageError` for what does not fit together."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"'{path}' cannot be read: {reason}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not TOML: {error}.") from error
    places = record_from_dict(Places, document, what=f"'{path}'")
    if not places.machine:
        raise UsageError(f"'{path}' describes no [[machine]].")
    return places
