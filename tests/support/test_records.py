"""Records from JSON: what is wrong is said in words of JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from wsgn.errors import UsageError
from wsgn.manifest import Manifest
from wsgn.support.records import record_from_dict


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int


@dataclass(frozen=True, kw_only=True)
class Outer:
    names: tuple[str, ...] = ()
    pairs: tuple[tuple[int, ...], ...] = ()
    parts: tuple[Inner, ...] = ()
    inner: Inner | None = None
    ratio: float = 1.0
    ratios: tuple[float, ...] = ()
    words: dict[str, str] | None = None
    sizes: tuple[int, ...] = ()
    choices: dict[str, int | bool | None] | None = None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"names": "ab"}, "'names' must be a list of texts, got \"ab\"."),
        ({"names": ["a", 1]}, "'names' must be a list of texts, got [\"a\", 1]."),
        ({"names": {"a": 1}}, "'names' must be a list of texts, got {\"a\": 1}."),
        ({"pairs": [1]}, "'pairs' must be a list of lists, got [1]."),
        ({"parts": [{"size": "5"}]}, "'parts.size' must be a whole number, got \"5\"."),
        ({"parts": [5]}, "'parts' must be a list of objects, got [5]."),
        ({"inner": [5]}, "'inner' must be an object or null, got [5]."),
        ({"pairs": [[1], ["a"]]}, "'pairs' must be a list of lists, got [[1], [\"a\"]]."),
        ({"ratios": [0.5, "a"]}, "'ratios' must be a list of numbers, got [0.5, \"a\"]."),
        ({"ratio": True}, "'ratio' must be a number, got true."),
        ({"parts": [{"size": True}]}, "'parts.size' must be a whole number, got true."),
        ({"sizes": [1, False]}, "whole number"),
        ({"names": "a" * 500}, 'got "' + "a" * 56 + "...."),
        ({"ratio": 10**400}, "'ratio' must be a finite number, got 1000"),
        ({"ratio": float("inf")}, "'ratio' must be a finite number, got Infinity."),
        ({"ratios": [0.5, float("nan")]}, "'ratios' must be a finite number, got NaN."),
        ({"parts": [{"size": 10**400}]}, "'parts.size' must be a whole number under 2^64"),
        ({"parts": [{"size": -(1 << 64)}]}, "'parts.size' must be a whole number under 2^64"),
        ({"words": "ab"}, "'words' must be an object, got \"ab\"."),
        ({"name": []}, '"name"'),
    ],
)
def test_a_wrong_value_is_named_with_what_is_wanted(document: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        record_from_dict(Outer, document, what="it")
    assert str(caught.value).startswith("it is not valid: ")
    assert words in str(caught.value)


def test_lists_become_tuples_at_any_depth() -> None:
    document = {"names": ["a"], "pairs": [[1, 2], []], "parts": [{"size": 3}]}
    record = record_from_dict(Outer, document, what="it")
    assert record == Outer(names=("a",), pairs=((1, 2), ()), parts=(Inner(size=3),))


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(UsageError, match="it is nested too deeply"):
        record_from_dict(Outer, {"names": nested}, what="it")


def test_a_manifest_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(UsageError, match="the manifest is nested too deeply"):
        Manifest.from_json("[" * 100_000)


def test_true_stays_true_where_it_may_stand() -> None:
    values = {"a": True, "b": 3, "c": None, "d": False}
    assert record_from_dict(Outer, {"choices": values}, what="it").choices == values
