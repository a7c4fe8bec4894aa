"""Patterns: sparse directions of length 1, closer for classes that occur together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_feature_sets import CLASSES, annotations, video

from wsgn.synthetic.features.config import SyntheticFeaturesConfig
from wsgn.synthetic.features.dataset import patterns_of
from wsgn.synthetic.features.patterns import Patterns, class_relations, draw_patterns, of_video

CONFIG = SyntheticFeaturesConfig()


def patterns(relation: float, classes: tuple[str, ...] = CLASSES, seed: int = 0) -> Patterns:
    """The patterns where the classes dive and cliff are related as given, golf is apart."""
    relations = np.eye(3)
    first, second = classes.index("dive"), classes.index("cliff")
    relations[first, second] = relations[second, first] = relation
    return draw_patterns(classes, relations, dataclasses.replace(CONFIG, seed=seed))


def test_relations_are_shared_videos_over_videos_of_either() -> None:
    found = class_relations(
        annotations(
            video(("dive", 0, 1), ("cliff", 0, 1), name="a"),
            video(("dive", 0, 1), name="b"),
            video(("cliff", 0, 1), name="c", labels=("dive",)),
            video(("dive", 0, 1), name="d"),
            video(name="e"),
        )
    )
    # dive in a, b, c, d; cliff in a, c; golf nowhere.
    assert found == pytest.approx(np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]))


def test_patterns_have_length_one_and_are_never_negative() -> None:
    found = patterns(0.6)
    rows = np.concatenate([*found.phases, found.contexts, found.distractors])
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(rows)))
    assert rows.min() >= 0
    assert (found.distractors > 0).sum(axis=1) == pytest.approx(0.15 * 128, abs=0.5)


def test_a_set_takes_the_relations_from_its_annotations() -> None:
    dives = [video(("dive", 0, 1), name=f"d{k}") for k in range(3)]
    apart = annotations(*dives, video(("cliff", 0, 1), name="c"))
    together = annotations(*dives, video(("cliff", 0, 1), ("dive", 0, 1), name="c"))
    likeness = [
        float(found.contexts[0] @ found.contexts[1])
        for found in (patterns_of(item, CONFIG) for item in (apart, together))
    ]
    assert likeness[1] > likeness[0] + 0.02


@pytest.mark.parametrize("seed", range(5))
def test_classes_that_occur_together_look_alike(seed: int) -> None:
    apart, together = patterns(0.0, seed=seed), patterns(0.7, seed=seed)

    def likeness(found: Patterns) -> float:
        return float((found.phases[0] @ found.phases[1].T).mean())

    assert likeness(together) > likeness(apart) + 0.15
    assert together.contexts[0] @ together.contexts[1] > apart.contexts[0] @ apart.contexts[1]


def test_a_family_of_equals_shares_what_the_configuration_says() -> None:
    # Two classes with relation 1 have one family; with no part of their own they are equal.
    config = dataclasses.replace(CONFIG, family_share=1.0)
    relations = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    found = draw_patterns(CLASSES, relations, config)
    assert found.contexts[0] == pytest.approx(found.contexts[1])
    assert found.contexts[0] @ found.contexts[2] < 0.5


def test_every_number_of_phases_occurs_and_phases_differ() -> None:
    classes = tuple(f"class {k}" for k in range(60))
    found = draw_patterns(classes, np.eye(60), CONFIG)
    assert {len(phases) for phases in found.phases} == {2, 3, 4}
    assert all((phases @ phases.T)[0, 1] < 0.95 for phases in found.phases)


def test_the_order_of_the_classes_changes_nothing() -> None:
    first, second = patterns(0.6), patterns(0.6, ("golf", "cliff", "dive"))
    assert np.array_equal(first.distractors, second.distractors)
    assert first.contexts == pytest.approx(second.contexts[::-1])


def test_a_video_shows_patterns_with_a_part_of_its_own() -> None:
    found = patterns(0.0).phases[0]
    config = dataclasses.replace(CONFIG, appearance_variation=0.5)
    one, two = (of_video(found, ("action", "dive", name), config) for name in ("a", "b"))
    assert np.linalg.norm(one, axis=1) == pytest.approx(np.ones(len(found)))
    assert not np.allclose(one, two)
    # Both keep the class: the own part is the shorter one.
    assert (one * found).sum(axis=1).min() > 0.8
    same = of_video(found, ("a",), dataclasses.replace(CONFIG, appearance_variation=0.0))
    assert same == pytest.approx(found)
