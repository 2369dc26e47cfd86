"""Groups of questions: which belong together, their counts, their order, and the one that stands for a group."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.apps.assistant.operation.clusters import clusters, wording
from recsys.dialogue.conversations import TurnRecord


def turns(*questions: str, languages: tuple[str | None, ...] = ()) -> list[TurnRecord]:
    given = languages or (None,) * len(questions)
    return [
        TurnRecord(f"c{n}", 1, 0, language, text, "unanswered") for n, (text, language) in enumerate(zip(questions, given, strict=True))
    ]


def at(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_what_means_the_same_is_one_group_and_the_largest_comes_first() -> None:
    asked = turns("gift cards?", "open on sunday", "Open on  Sunday", "opening hours sunday")
    found = clusters(asked, ["gift cards?", "open on sunday", "opening hours sunday"], at(0, 85, 95))
    assert [len(group.turns) for group in found] == [3, 1]
    assert found[0].examples == ("open on sunday", "opening hours sunday")
    assert found[0].question == "open on sunday"  # asked twice, so it is nearest to all of them
    assert found[1].turns == (asked[0],)


def test_the_language_is_that_of_most() -> None:
    (group,) = clusters(turns("a", "a", "a", "a", languages=(None, "de", "en", "de")), ["a"], at(0))
    assert group.language == "de"
    (group,) = clusters(turns("a"), ["a"], at(0))
    assert group.language is None


def test_no_questions_are_no_groups() -> None:
    assert clusters([], [], np.zeros((0, 1), dtype=np.float32)) == []


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 360)), min_size=1, max_size=12))
def test_every_question_is_in_one_group(asked: list[tuple[str, float]]) -> None:
    of = dict(asked)
    questions = turns(*(text for text, _ in asked))
    found = clusters(questions, list(of), at(*of.values()))
    assert sorted(turn.conversation for group in found for turn in group.turns) == sorted(turn.conversation for turn in questions)
    assert all(group.question in group.examples for group in found)
    assert {wording(turn) for group in found for turn in group.turns} == set(of)
