"""The packaged examples, and what a message is like."""

from __future__ import annotations

import re

import pytest

from recsys.dialogue.examples import Examples, folded, frame_words, packaged
from recsys.dialogue.parts import named_places
from recsys.dialogue.phrases import Message


def test_examples_are_filled_and_each_act_has_some_in_every_language() -> None:
    assert not [text for texts in packaged().values() for text in texts if re.search(r"[{}]", text)]
    assert all(len(texts) >= 10 for texts in packaged().values())
    assert "pizza" in " ".join(packaged()["find"])


def test_no_word_of_a_product_stands_around_it() -> None:
    around = frame_words("find")
    assert {"looking", "suche", "busco"} <= around
    assert not around & {"pizza", "milch", "vaqueros"}


@pytest.mark.parametrize(
    ("text", "act"),
    [("too expensive!", "cheaper"), ("das ist mir viel zu teuer", "cheaper"), ("太贵了", "cheaper"), ("una persona real", "human")],
)
def test_letters_alone_find_the_nearest_example(text: str, act: str) -> None:
    examples = Examples.of([(name, one) for name in ("cheaper", "human", "more") for one in packaged()[name]])
    certain = examples.of_each(text)
    assert max(certain, key=lambda one: certain[one]) == act == (examples.nearest(text) or ("", 0))[0]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("the third or the first?", [2, 0]),
        ("vom zweiten zum dritten", [1, 2]),
        ("la première", [0]),
        ("2 vs 5", [1, 4]),
        ("第二个和第四个", [1, 3]),
        ("el tercer", [2]),
        ("show me milk", []),
        ("number 5", [4]),
    ],
)
def test_places_are_read_in_their_order(text: str, places: list[int]) -> None:
    assert named_places(Message.of(text), 5) == places


def test_no_place_beyond_the_list() -> None:
    assert named_places(Message.of("the fifth"), 3) == []


def test_folding_takes_case_and_marks_away() -> None:
    assert folded("Too  EXPENSIVE?!") == folded("too expensive")
