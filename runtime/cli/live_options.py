"""The words about live sources to checked options."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import UsageError
from wsgn.support.shards import Shard
from wsgn.video.live.libav_options import require_known_options
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.source import LiveSource

from ..live.asking import answer_of, is_file_by_name
from ..serve.address import ServeAddress, serve_address
from .cameras import LONGEST_TIMEOUT_SECONDS, SHORTEST_TIMEOUT_SECONDS
from .live_sources import LiveWords, find_live

# Names in the parsed words of what only live sources know.
_ONLY_LIVE = (
    "realtime",
    "timeout",
    "reconnect",
    "rtsp_transport",
    "drop",
    "max_lag",
    "source_name",
    "source_options",
    "state",
    "rotate",
    "clips",
    "clip_padding",
    "serve",
)
# Beside it a minute, of which no more is held, has room for a segment.
_LONGEST_CLIP_PADDING_SECONDS = 20.0
# Names of what they do not know, and why.
_NEVER_LIVE = {
    "start": "what is live begins now",
    "kernels": "they score what has ended",
    "save_scores": "they would be written at an end that live sources do not have",
    "overwrite": "files of live sources are gone on with, never replaced",
    "resume": "files of live sources are gone on with; --state DIR goes on where a run ended",
    "workers": "all of them share one engine",
}
# To open a stream takes a second where all is well.
_SHORTEST_OPENING_SECONDS = 5.0
_MOST_ATTEMPTS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class LiveRunOptions:
    """What a command line asks of live sources."""

    # How its sources were named, to be looked at again.
    words: LiveWords
    sources: tuple[LiveSource, ...]
    # Files that named some of the sources.
    lists: tuple[Path, ...]
    live: LiveOptions
    # None where nothing is kept.
    state: Path | None
    # One of ROTATIONS.
    rotate: str
    # None where none are written.
    clips: Path | None
    clip_padding_seconds: float
    # None where nobody looks on.
    serve: ServeAddress | None


def given_live_words(words: Namespace) -> list[str]:
    """Names of the given options that only live sources know."""
    return [name for name in _ONLY_LIVE if getattr(words, name) not in (None, False)]


def live_run_options(
    words: Namespace,
    *,
    end_seconds: float | None,
    input_rate: float | None,
    shard: Shard | None = None,
) -> LiveRunOptions | None:
    """The options of live sources; None where all sources are files.

    Raises `UsageError`, also for options that mean nothing to the sources.
    """
    given = given_live_words(words)
    timeout = _within("--timeout", words.timeout, SHORTEST_TIMEOUT_SECONDS, 10.0)
    live_words = LiveWords(
        arguments=tuple(words.sources),
        realtime=words.realtime,
        names=tuple(words.source_name or ()),
        wants_live=bool(given),
        shard=shard,
    )

    def answer(address: str) -> bool | None:
        if not given or words.realtime:
            return answer_of(address, timeout)
        # An option says it: a server that takes one connection only keeps it for the pictures.
        return False if is_file_by_name(address) else None

    found = find_live(live_words, answer)
    if found is None:
        if given:
            option = "--" + given[0].replace("_", "-")
            raise UsageError(
                f"{option} is for live sources, and none of these is one: leave it out, or add "
                "--realtime to play files as if they were live."
            )
        return None
    _refuse_what_means_nothing(words)
    if shard is not None and not found.sources:
        raise UsageError(
            f"--shard {shard.number}/{shard.count} has no source: there are fewer sources than "
            "shards."
        )
    return LiveRunOptions(
        words=live_words,
        sources=found.sources,
        lists=found.lists,
        live=_live_options(words, timeout, end_seconds=end_seconds, input_rate=input_rate),
        state=None if words.state is None else Path(words.state),
        rotate=words.rotate or "day",
        clips=None if words.clips is None else Path(words.clips),
        clip_padding_seconds=_clip_padding(words),
        serve=None if words.serve is None else serve_address(words.serve),
    )


def _live_options(
    words: Namespace, timeout: float, *, end_seconds: float | None, input_rate: float | None
) -> LiveOptions:
    return LiveOptions(
        timeout_seconds=timeout,
        open_timeout_seconds=max(timeout, _SHORTEST_OPENING_SECONDS),
        reconnect=_attempts(words.reconnect),
        rtsp_transport=words.rtsp_transport or "tcp",
        drop=words.drop or "oldest",
        max_lag_seconds=_within("--max-lag", words.max_lag, 0.1, 3.0),
        source_options=_pairs(words.source_options or ()),
        stream=words.stream,
        input_rate=input_rate,
        end_seconds=end_seconds,
    )


def _refuse_what_means_nothing(words: Namespace) -> None:
    for name, reason in _NEVER_LIVE.items():
        if getattr(words, name) not in (None, False):
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} means nothing for live sources: {reason}.")
    if words.format is not None and words.format.strip() != "jsonl":
        raise UsageError(
            f"--format {words.format} is written at the end of a source, which live sources do not "
            "have: leave it out for jsonl, whose lines are written at once."
        )
    if words.rotate is not None and words.output is None:
        raise UsageError("--rotate needs --output DIR.")


def _clip_padding(words: Namespace) -> float:
    padding: float | None = words.clip_padding
    if words.clips is None:
        if padding is not None:
            raise UsageError("--clip-padding needs --clips DIR.")
    elif words.scores == "exact":
        raise UsageError(
            "--clips are cut while a source plays, and exact scores are known at its end: choose "
            "window or causal scores, or cut them out of the file with wsgn-run clips."
        )
    if padding is not None and not 0 <= padding <= _LONGEST_CLIP_PADDING_SECONDS:
        raise UsageError(
            f"--clip-padding must be 0 to {_LONGEST_CLIP_PADDING_SECONDS:g} s, got {padding:g}."
        )
    return 1.0 if padding is None else padding


def _within(option: str, value: float | None, least: float, default: float) -> float:
    if value is None:
        return default
    if not least <= value <= LONGEST_TIMEOUT_SECONDS:
        # NaN too.
        shown = f"{value:g}" if math.isfinite(value) else str(value)
        raise UsageError(
            f"{option} must be {least:g} to {LONGEST_TIMEOUT_SECONDS:g} s, got {shown}."
        )
    return value


def _attempts(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= _MOST_ATTEMPTS:
        raise UsageError(f"--reconnect must be 0 or more, got {value}.")
    return value


def _pairs(texts: list[str] | tuple[()]) -> Mapping[str, str]:
    """`KEY=VALUE,...` as a mapping; a comma in a value is not to be had."""
    pairs: dict[str, str] = {}
    for text in texts:
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if not key.strip() or not equals:
                raise UsageError(
                    "--source-options must be KEY=VALUE with commas between them, such as "
                    "rtsp_flags=prefer_tcp."
                )
            pairs[key.strip()] = value.strip()
    require_known_options(pairs)
    return pairs
