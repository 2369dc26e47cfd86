"""Questions about a product of a made-up shop: what answers them, in whose words, and what is not said."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.names import NEGATIVE, NEUTRAL, POSITIVE, SENTENCE
from features.reviews.scored import SENTENCE_SCHEMA, ScoredReviews
from recsys.apps.assistant.allergens import asks_for_allergens
from recsys.apps.assistant.product_questions import ProductEvidence
from recsys.apps.assistant.product_texts import PassageKind, attribute_passages, product_passages
from recsys.apps.assistant.products import ProductDesk
from recsys.dialogue.commands import AskProduct
from recsys.wording.templates import Templates
from retrieval.lexical.analyzer import Analyzer
from retrieval.lexical.index import LexicalIndex
from tests.features.reviews.known import Told, scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.apps.assistant.answers import Answer
    from recsys.dialogue.commands import Attribute

ITEMS = pl.DataFrame(
    {
        "item_id": ["bar", "kettle", "plain"],
        "title": ["Honey bar", "Brewster kettle", "Spoon"],
        "attributes": [
            "weight: 40 g; ingredients: oats, honey, roasted hazelnut",
            "colour: red; capacity: 1.7 l; dishwasher_safe: no; colour: blue",
            None,
        ],
        "description": [
            None,
            "A kettle for the family. The lid comes off for cleaning. It turns off by itself when the water boils.",
            None,
        ],
    }
)
BAR, KETTLE = 0, 1


def one(sentence: str, tone: str = NEUTRAL) -> list[Told]:
    return [(None, sentence, tone)]


ANALYZER = Analyzer()
REVIEWS = scored(
    (KETTLE, one("It is not loud at all.", POSITIVE)),
    (KETTLE, one("Far too loud in the morning.", NEGATIVE)),
    (KETTLE, one("Not loud, and quick.", POSITIVE)),
    (KETTLE, one("The cord is 70 cm long.")),
    (KETTLE, one("The cord of mine is long enough.")),
    (KETTLE, one("Loud, said a competitor.", NEGATIVE)),
    (BAR, one("No hazelnut that I could taste.", POSITIVE)),
    left_out=[5],
)


def by_words(texts: Sequence[str]) -> Any:
    """Vectors of texts that share words are near each other."""
    vectors = np.zeros((len(texts), 256), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in ANALYZER.tokens(text):
            vectors[row, crc32(word.encode()) % 256] += 1
    return SimpleNamespace(vectors=vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


class Shop:
    """What product questions need of the assistant's parts."""

    def __init__(self, reviews: ScoredReviews = REVIEWS, items: pl.DataFrame = ITEMS, language: str | None = "en") -> None:
        self.catalog = Catalog.from_frame(items)
        lexical = LexicalIndex.build(self.catalog.frame.select("title", "description"))
        self.snapshot: Any = SimpleNamespace(catalog=self.catalog, reviews=reviews, lexical=lexical)
        self.recommender: Any = SimpleNamespace(snapshot=self.snapshot, model=SimpleNamespace(encode_queries=self.encode))
        self.templates = Templates.of()
        self.encoded: list[str] = []
        parts: Any = self
        self.desk = ProductDesk(parts, language, None)
        self.evidence = ProductEvidence(self.recommender, 0.55)  # its vectors are of words alone, under which nothing is as sure

    def encode(self, texts: Sequence[str]) -> Any:
        self.encoded += texts
        return by_words(texts)

    def row(self, item: str) -> int:
        return int(self.catalog.rows_or_raise([item])[0])

    def wordings(self, text: str) -> list[tuple[str, ...]]:
        return [tuple(self.snapshot.lexical.analyzer.tokens(text))]

    def ask(self, item: str, question: str, attribute: Attribute | None = None) -> Answer | None:
        return self.evidence.answer(self.desk, AskProduct(item=item, question=question, attribute=attribute))

    def said(self, item: str, question: str, attribute: Attribute | None = None) -> list[str]:
        answer = self.ask(item, question, attribute)
        return [statement.message.text for statement in answer.statements] if answer else []


def test_a_sentence_that_mentions_no_aspect_answers_too() -> None:
    others = pl.DataFrame({"review": [3], SENTENCE: ["Mine whistles like a train."]}, schema=SENTENCE_SCHEMA)
    said = Shop(replace(REVIEWS, others=others)).said("kettle", "does it whistle like a train?")
    assert any("Mine whistles like a train." in text for text in said)
    assert not Shop().said("kettle", "does it whistle like a train?")


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("is it dishwasher safe?", "Brewster kettle: the shop gives dishwasher safe as no."),
        ("Is the kettle DISHWASHER SAFE", "Brewster kettle: the shop gives dishwasher safe as no."),
        ("dishwasher safe?", "Brewster kettle: the shop gives dishwasher safe as no."),
        ("what is the capacity of the Brewster kettle?", "Brewster kettle: the shop gives capacity as 1.7 l."),
        ("which colour is it?", "Brewster kettle: the shop gives colour as red, blue."),
        ("does the lid come off for cleaning?", "The description of Brewster kettle says: “The lid comes off for cleaning.”"),
    ],
)
def test_the_shop_itself_is_quoted_first(shop: Shop, question: str, said: str) -> None:
    assert shop.said("kettle", question)[0] == said


def test_reviews_are_counted_and_quoted(shop: Shop) -> None:
    assert shop.said("kettle", "how long is the cord?") == [
        "2 reviews of 5 of Brewster kettle mention it, for example: “The cord is 70 cm long.”"
    ]


def test_what_customers_say_is_counted_and_quoted_on_both_sides(shop: Shop) -> None:
    praise, complaint = shop.said("kettle", "is it good?", "reviews")
    counted = shop.snapshot.reviews.counted.filter(item=shop.row("kettle"))["sentiment"].to_list()
    assert praise.startswith(f"{counted.count('positive')} review")
    assert "speak well of it" in praise or "speaks well of it" in praise
    assert complaint.startswith(f"{counted.count('negative')} review")
    assert "Loud, said a competitor." not in complaint, "it is left out"
    assert Shop(ScoredReviews.empty()).ask("kettle", "is it good?", "reviews") is None


def test_where_reviews_differ_both_sides_are_counted_and_one_left_out_is_in_neither(shop: Shop) -> None:
    praise, complaint = shop.said("kettle", "is it loud?")
    assert praise.startswith("2 reviews of 5 of Brewster kettle speak well of it, for example: “")
    assert complaint == "1 review of 5 of Brewster kettle complains about it: “Far too loud in the morning.”"


@pytest.mark.parametrize("question", ["does it need batteries?", "can I use it for soup?", "who invented it", "?", "  ", "它防水吗？"])
def test_what_nothing_says_is_not_answered(shop: Shop, question: str) -> None:
    assert shop.ask("kettle", question) is None
    assert shop.ask("plain", question) is None


@pytest.mark.parametrize("question", ["does it contain hazelnut?", "Is there hazelnut in the ingredients?", "contains hazelnut or nuts"])
def test_of_allergens_no_review_is_believed(shop: Shop, question: str) -> None:
    assert shop.said("bar", question) == ["Honey bar: the shop gives ingredients as oats, honey, roasted hazelnut."]
    silent = Shop(items=ITEMS.with_columns(attributes=pl.lit(None, pl.String)))
    assert silent.ask("bar", question) is None, "a review alone, which says that there is none, is no answer"


@pytest.mark.parametrize("question", ["Is it good for someone with a hazelnut allergy?", "Was sagen Kunden: gut bei Nussallergie?"])
def test_of_allergens_no_review_is_counted_either(shop: Shop, question: str) -> None:
    assert "No hazelnut that I could taste." in shop.said("bar", "is it good?", "reviews")[0]
    assert not any("taste" in text for text in shop.said("bar", question, "reviews"))
    silent = Shop(items=ITEMS.with_columns(attributes=pl.lit(None, pl.String)))
    assert silent.ask("bar", question, "reviews") is None


@pytest.mark.parametrize(
    "question",
    [
        *(
            "ist es gut bei Nussallergie?",
            "Sind Haselnüsse drin?",
            "Ist es nussfrei?",
            "auch Paranuss oder Nuß",
            "gut bei Milcheiweißallergie?",
        ),
        *("enthält es Vollmilch?", "Ist es milchfrei?", "bei Lebensmittelunverträglichkeit", "with pecan pieces?", "est-il sans gluten ?"),
        *("is it nut-free?", "¿contiene huevos?", "含有花生吗", "does it contain milk?"),
    ],
)
def test_questions_about_allergens_are_told(question: str) -> None:
    assert asks_for_allergens(question)


@pytest.mark.parametrize(
    "question",
    [
        *(
            "Ist der Kaffee ein Genuss?",
            "gibt es ein Bonussystem?",
            "Ist es ein Nussknacker?",
            "Ist Muskatnuss darin?",
            "is it a nutcracker?",
        ),
        *("how many eggs does it hold?", "for milk?", "Passt Milch in die Kanne?", "in meiner Freizeit?", "enthält es einen Akku?"),
    ],
)
def test_other_questions_are_none_about_allergens(question: str) -> None:
    assert not asks_for_allergens(question)


def test_no_statement_has_words_that_no_source_has(shop: Shop) -> None:
    known = {passage.value or passage.text for passage in product_passages(shop.snapshot, KETTLE)}
    for question in ("is it dishwasher safe?", "is it loud?", "how long is the cord?", "does it turn off by itself?"):
        answer = shop.ask("kettle", question)
        assert answer is not None
        assert answer.items == ("kettle",)
        for statement in answer.statements:
            facts = {fact.name: fact for fact in statement.message.facts}
            told = facts.get("quote") or facts["value"]
            assert told.value in known
            assert told.source in {"attributes", "description", "reviews"}
            assert told.about == "kettle"


def test_words_of_a_review_are_data() -> None:
    hostile = "The cord {total} is <b>long</b> \x1b[31m⟦1⟧."
    shop = Shop(scored((KETTLE, one(hostile))))
    shop.evidence = ProductEvidence(shop.recommender, 0.1)
    (text,) = shop.said("kettle", "how long is the cord?")
    assert "{total}" in text
    assert "\x1b" not in text
    assert "<b>" not in text
    assert "⟦" not in text


@pytest.mark.parametrize(
    ("language", "begins"),
    [("de", "Brewster kettle: Der Shop gibt"), ("fr", "Brewster kettle : la boutique"), ("xx", "Brewster kettle: the shop")],
)
def test_the_customers_language_frames_the_shops_words(language: str, begins: str) -> None:
    (said, *_) = Shop(language=language).said("kettle", "dishwasher safe?")
    assert said.startswith(begins)


def test_a_passage_is_encoded_once_and_a_question_is_not_kept() -> None:
    shop = Shop()
    first = shop.said("kettle", "is it loud?")
    shop.encoded.clear()
    assert shop.said("kettle", "is it loud?") == first
    assert shop.encoded == ["is it loud?"]


def test_an_answer_does_not_depend_on_what_was_asked_before() -> None:
    asked = ["is it loud?", "how long is the cord?", "dishwasher safe?", "which colour is it?"]
    fresh = {question: Shop().said("kettle", question) for question in asked}
    shop = Shop()
    assert {question: shop.said("kettle", question) for question in reversed(asked)} == fresh


def test_many_reviews_are_counted_beyond_those_that_the_encoder_reads() -> None:
    shop = Shop(scored(*[(KETTLE, one(f"The cord is {number} cm long.")) for number in range(40)]))
    (said,) = shop.said("kettle", "how long is the cord?")
    assert said.startswith("40 reviews of 40 of Brewster kettle mention it")
    assert len(set(shop.encoded)) < 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("colour: red; size: 40", [("colour", "red"), ("size", "40")]),
        ("size: 38; size: 39; size: 38", [("size", "38, 39")]),
        ("dishwasher_safe: true;", [("dishwasher safe", "true")]),
        ("red; soft", [("", "red"), ("", "soft")]),
        ("ratio: 16:9", [("ratio", "16:9")]),
        ("note: ; : x; ", [("", "x")]),
        ("", []),
    ],
)
def test_attributes_are_passages_by_name(text: str, expected: list[tuple[str, str]]) -> None:
    found = attribute_passages(text)
    assert [(passage.name, passage.value) for passage in found] == expected
    assert all(passage.kind == PassageKind.ATTRIBUTE for passage in found)


def test_passages_begin_with_the_shops_own_and_leave_out_reviews_that_do_not_count(shop: Shop) -> None:
    kinds = [passage.kind for passage in product_passages(shop.snapshot, KETTLE)]
    assert kinds == sorted(kinds, key=list(PassageKind).index)
    assert kinds.count(PassageKind.REVIEW) == 5
    erased = replace(REVIEWS).without_users(["u0"])
    assert "It is not loud at all." not in [passage.text for passage in product_passages(Shop(erased).snapshot, KETTLE)]
