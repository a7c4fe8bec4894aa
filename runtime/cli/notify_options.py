"""The words about notifications to checked options."""

from __future__ import annotations

import dataclasses
import math
import os
from argparse import Namespace
from collections import Counter

from wsgn.errors import MissingExtraError, UsageError
from wsgn.support.environment import with_variables

from ..notify.addresses import Address, Broker, Webhook, read_address
from ..notify.options import NotifyOptions

SECRET_VARIABLE = "WSGN_NOTIFY_SECRET"


def notify_options(words: Namespace, *, scores: str, live: bool) -> NotifyOptions | None:
    """The options of notifications; None where none are asked for.

    Raises `UsageError`, and `MissingExtraError` for a broker without its package.
    """
    if not words.notify:
        for name in ("notify_min_score", "notify_http"):
            if getattr(words, name) not in (None, False):
                raise UsageError(f"--{name.replace('_', '-')} needs --notify URL.")
        return None
    addresses = [
        read_address(with_variables(text, "--notify"), allows_http=words.notify_http)
        for text in words.notify
    ]
    if any(isinstance(one, Broker) for one in addresses):
        _require_paho()
    minimum = words.notify_min_score
    if minimum is not None and not math.isfinite(minimum):
        raise UsageError(f"--notify-min-score must be a finite number, got {minimum}.")
    return NotifyOptions(
        addresses=tuple(_told_apart(addresses)),
        secret=_secret() if any(isinstance(one, Webhook) for one in addresses) else None,
        minimum_score=minimum,
        # Exact scores are known at the end: what was announced before may be taken back.
        sends_starts=scores != "exact",
        keeps_states=live,
    )


def _require_paho() -> None:
    try:
        from ..notify import mqtt  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("--notify with an MQTT broker (paho-mqtt)", "mqtt") from error


def _secret() -> bytes | None:
    secret = os.environ.get(SECRET_VARIABLE)
    if secret is None:
        return None
    if not secret:
        raise UsageError(
            f"{SECRET_VARIABLE} is empty: put the receiver's secret there, or unset it."
        )
    return os.fsencode(secret)


def _told_apart(addresses: list[Address]) -> list[Address]:
    """The addresses, those that look alike when shown with numbers behind them."""
    if len(set(addresses)) < len(addresses):
        raise UsageError("--notify names the same address twice.")
    seen: Counter[str] = Counter()
    named = []
    for address in addresses:
        seen[address.shown] += 1
        number = seen[address.shown]
        shown = address.shown if number == 1 else f"{address.shown} ({number})"
        named.append(dataclasses.replace(address, shown=shown))
    return named
