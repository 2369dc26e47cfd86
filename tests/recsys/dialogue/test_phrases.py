"""Phrases of customers, in five languages."""

from __future__ import annotations

import pytest

from recsys.dialogue.phrases import Message, kinds


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Can I talk to a human, please?", "human"),
        ("Ich möchte mit einem Mitarbeiter sprechen!", "human"),
        ("我要转客服", "human"),
        ("cheaper ones please", "cheaper"),
        ("etwas Günstigeres", "cheaper"),
        ("quelque chose de moins cher", "cheaper"),
        ("algo más barato", "cheaper"),
        ("太贵了", "cheaper"),
        ("the second one", "ordinal_2"),
        ("das zweite bitte", "ordinal_2"),
        ("I was charged twice", "money"),
        ("Mein Sohn hat es verschluckt", "safety"),
        ("this is ridiculous", "angry"),
        ("hello!", "greeting"),
    ],
)
def test_what_customers_write_is_found(text: str, kind: str) -> None:
    assert Message.of(text).has(kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("hi-fi speakers", "greeting"),  # only as the whole message
        ("the humane mouse trap", "human"),  # whole words
        ("a cheapskate's guide", "cheaper"),
        ("second-hand", "ordinal_2"),
        ("no sugar tea", "refusal"),
    ],
)
def test_words_that_only_look_like_it_are_not(text: str, kind: str) -> None:
    assert not Message.of(text).has(kind)


def test_a_phrase_tells_what_stands_around_it() -> None:
    found = Message.of("Something WITHOUT nuts, please").find("without")
    assert found is not None
    assert (found.before, found.after, found.language) == ("something", "nuts please", "en")


def test_the_longest_phrase_that_begins_first_counts() -> None:
    found = Message.of("I need some tea").find("find")
    assert found is not None
    assert found.phrase == "i need some"


def test_phrases_can_be_taken_out() -> None:
    assert Message.of("How much is the green tea?").without("attribute_price") == "is the green tea"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the red one with milk", "en"),
        ("ich suche Milch", "de"),
        ("je cherche du lait", "fr"),
        ("busco leche para mi hijo", "es"),
        ("便宜一点", "zh"),
        ("tofu", None),
        ("?", None),
    ],
)
def test_the_language_is_told_by_function_words_and_phrases(text: str, language: str | None) -> None:
    assert Message.of(text).language == language


@pytest.mark.parametrize("text", ["", "?", "\x1b[31m", "😀" * 5, "a" * 50_000, "أهلا"])
def test_any_text_can_be_read(text: str) -> None:
    message = Message.of(text)
    assert not any(message.has(kind) for kind in kinds())
