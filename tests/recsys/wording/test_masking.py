"""What never leaves the shop is taken out of a message, and put back."""

from __future__ import annotations

import pytest

from recsys.wording.facts import Fact, FactKind
from recsys.wording.masking import mask
from recsys.wording.message import Message, Piece
from recsys.wording.templates import Templates

ORDER = (Fact("order", "A-10042", FactKind.CODE), Fact("status", "on its way", FactKind.TEXT))


def test_order_numbers_and_persons_become_placeholders() -> None:
    hidden = mask(Templates.of().write("order_status", *ORDER))
    assert hidden.text == "Your order ⟦1⟧ is on its way."
    assert hidden.restored("⟦1⟧ is on its way.") == "A-10042 is on its way."
    greeting = mask(Templates.of().write("greeting", Fact("person", "Ann Lee", FactKind.PERSON)))
    assert "Ann" not in greeting.text


@pytest.mark.parametrize("quote", ["write to ann@shop.example", "call +49 30 901820", "My name is Ann Lee", "pay with 4111 1111 1111 1111"])
def test_personal_data_in_quotes_is_taken_out(quote: str) -> None:
    hidden = mask(Templates.of().write("help_answer", Fact("quote", quote, FactKind.QUOTE)))
    assert hidden.text == "Our help pages say: “⟦1⟧”"
    assert hidden.restored("Our pages say “⟦ 1 ⟧”.") == f"Our pages say “{quote}”."


def test_private_facts_and_links_are_taken_out() -> None:
    facts = (Fact("quote", "Read on.", FactKind.QUOTE, private=True), Fact("link", "https://shop.example/a?token=7", FactKind.LINK))
    assert mask(Templates.of().write("help_answer", *facts)).text == "Our help pages say: “⟦1⟧” You can read more here: ⟦2⟧"


@pytest.mark.parametrize("wording", ["no number", "⟦1⟧ and ⟦1⟧", "⟦2⟧", "⟦1⟧ ⟦2⟧"])
def test_placeholders_must_come_back_once_each(wording: str) -> None:
    assert mask(Templates.of().write("order_status", *ORDER)).restored(wording) is None


def test_a_shops_own_words_are_looked_at_too() -> None:
    message = Message("tool", "en", (Piece("Write to help@shop.example."),))
    assert mask(message).text == "⟦1⟧"
