"""Answers a question about one product with what its title, attributes, description and reviews say, word for word.

Nothing is concluded from a passage, not even a plain yes. Reviews are counted; where they differ, both sides are quoted with their counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from features.names import NEGATIVE, POSITIVE, REVIEW, SENTENCE, SENTIMENT
from recsys.apps.assistant.allergens import asks_for_allergens
from recsys.apps.assistant.answers import Answer, Statement
from recsys.apps.assistant.evidence_weights import PACKAGED
from recsys.apps.assistant.product_texts import PassageKind, ProductPassage, product_passages
from recsys.wording.facts import Fact, FactKind
from retrieval.passages.product_evidence import EvidenceModel, evidence_features, gram_shares, rarity, word_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recsys.dialogue.commands import AskProduct
    from recsys.recommend.pipeline import Recommender
    from recsys.wording.message import Message

DEPTH = 16  # passages a question that the encoder reads
MOST_VECTORS = 20_000  # of passages that are kept
AGREES = 0.5  # share of a question's words that a review must have to say the same as a passage with the same words
REVIEWS = "reviews"


@dataclass
class _Vectors:
    """Vectors of passages, which are asked about more than once; those of questions are not kept."""

    encode: Callable[[list[str]], np.ndarray]
    known: dict[str, np.ndarray] = field(default_factory=dict)

    def of(self, question: str, passages: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the vector of a question, (dim,), and those of passages, (n, dim)."""
        if len(self.known) > MOST_VECTORS:
            self.known = {}
        known = self.known
        new = [text for text in dict.fromkeys(passages) if text not in known]
        first, *others = self.encode([question, *new])
        vectors = dict(zip(new, others, strict=True))
        found = np.stack([known[text] if text in known else vectors[text] for text in passages])
        known.update(vectors)
        return first, found


@dataclass(frozen=True)
class _Asked:
    """A question, and ways to say it, each as terms."""

    text: str
    wordings: Sequence[Sequence[str]]


@dataclass(frozen=True)
class _Judged:
    """The passages that were read, with the probability of each, and of the best that it answers."""

    passages: list[ProductPassage]
    words: np.ndarray
    probabilities: np.ndarray
    best: int
    answers: float


class Desk(Protocol):
    """What of the desk for products is needed."""

    def row(self, item: str) -> int:
        """Return the catalogue row of a product."""
        ...

    def name(self, item: str) -> Fact:
        """Return the title of a product as a fact."""
        ...

    def wordings(self, words: str) -> list[tuple[str, ...]]:
        """Return ways to say the same, each as terms of the catalogue's index."""
        ...

    def write(self, key: str, *facts: Fact) -> Message:
        """Return a message in the customer's language."""
        ...


class ProductEvidence:
    """Answers questions about products of one bundle.

    Parameters
    ----------
    answer_from : probability from which a passage answers.
    model : judges passages.
    """

    def __init__(self, recommender: Recommender, answer_from: float, model: EvidenceModel = PACKAGED) -> None:
        self._snapshot, self._answer_from, self._model = recommender.snapshot, answer_from, model
        self._analyzer = recommender.snapshot.lexical.analyzer
        self._vectors = _Vectors(lambda texts: recommender.model.encode_queries(texts).vectors)

    def answer(self, desk: Desk, command: AskProduct) -> Answer | None:
        """Answer a question about a product; None where nothing that is known of it does.

        Of allergens the shop alone is believed: no review is counted or quoted.
        """
        shop_alone = asks_for_allergens(command.question)
        if command.attribute == REVIEWS and not shop_alone and (counted := self._all_reviews(desk, command.item)):
            return counted
        asked = _Asked(command.question, desk.wordings(command.question))
        passages = product_passages(self._snapshot, desk.row(command.item))
        if shop_alone:
            passages = [passage for passage in passages if passage.kind != PassageKind.REVIEW]
        else:
            asked, named = self._without_name(asked, passages[0])
            passages = passages[named:]
        judged = self._judged(asked, passages)
        if judged is None or judged.answers < self._answer_from:
            return None
        statements = [] if judged.passages[judged.best].kind == PassageKind.REVIEW else [self._of_shop(desk, command.item, judged)]
        return Answer((*statements, *self._of_reviews(desk, command.item, judged)), (command.item,))

    def _all_reviews(self, desk: Desk, item: str) -> Answer | None:
        """Count the reviews of a product that praise it and those that complain, each with a quote; None where none does either."""
        reviews, row = self._snapshot.reviews, desk.row(item)
        counted = reviews.counted.filter(pl.col("item") == row)
        facts = desk.name(item), Fact("total", len(counted), FactKind.NUMBER, REVIEWS, item)
        statements = []
        for tone, key in ((POSITIVE, "reviews_praise"), (NEGATIVE, "reviews_complain")):
            some = counted.filter(pl.col(SENTIMENT) == tone)
            told = reviews.mentions.join(some.select(REVIEW), on=REVIEW, how="semi")
            if len(told):
                alike = (pl.col(SENTIMENT) == tone).fill_null(value=False)
                best = told.sort(alike, tone, REVIEW, descending=True, nulls_last=True)[SENTENCE][0]
                count = Fact("count", len(some), FactKind.NUMBER, REVIEWS, item)
                statements.append(Statement(desk.write(key, *facts, count, Fact("quote", best, FactKind.QUOTE, REVIEWS, item))))
        return Answer(tuple(statements), (item,)) if statements else None

    def _judged(self, asked: _Asked, passages: list[ProductPassage]) -> _Judged | None:
        """Judge the passages that share most with a question; the shop's own come first where none shares anything."""
        if not passages:
            return None
        words = word_shares(asked.wordings, [self._terms(passage.text) for passage in passages], self._rarity)
        chosen = np.argsort(-words, kind="stable")[:DEPTH]
        texts = [passages[i].text for i in chosen]
        vector, vectors = self._vectors.of(asked.text, texts)
        features = evidence_features(words[chosen], gram_shares(asked.text, texts), vectors @ vector, texts)
        judged = self._model.judge(features, np.array([passages[i].review is not None for i in chosen]))
        probabilities = np.zeros(len(passages))
        probabilities[chosen] = judged.passages
        return _Judged(passages, words, probabilities, int(chosen[judged.best]), judged.answers)

    def _without_name(self, asked: _Asked, title: ProductPassage) -> tuple[_Asked, bool]:
        """Leave out the words of a title that the question has most of, which tell nothing; and say whether it names the product at all."""
        terms = self._terms(title.text)
        named = terms.intersection(term for wording in asked.wordings for term in wording)
        if 2 * len(named) < max(1, len(terms)):
            return asked, bool(named)
        text = " ".join(word for word in asked.text.split() if not self._terms(word) & terms)
        wordings = [tuple(term for term in wording if term not in terms) or wording for wording in asked.wordings]
        return _Asked(text or asked.text, wordings), True

    def _terms(self, text: str) -> frozenset[str]:
        return frozenset(self._analyzer.stem(word) for word in self._analyzer.index_words(text))

    def _rarity(self, term: str) -> float:
        index = self._snapshot.lexical
        return rarity(index.vocabulary.get(term, 0), len(index))

    def _of_shop(self, desk: Desk, item: str, judged: _Judged) -> Statement:
        passage, name = judged.passages[judged.best], desk.name(item)
        if passage.name:
            named = Fact("property", passage.name, FactKind.TEXT, "attributes", item)
            return Statement(desk.write("product_attribute", name, named, Fact("value", passage.value, FactKind.TEXT, "attributes", item)))
        if passage.kind == PassageKind.TITLE:
            named = Fact("property", desk.write("property_title").text, FactKind.TEXT)
            return Statement(desk.write("product_attribute", name, named, Fact("value", passage.text, FactKind.TEXT, "title", item)))
        source = "attributes" if passage.kind == PassageKind.ATTRIBUTE else "description"
        return Statement(desk.write("product_description", name, Fact("quote", passage.text, FactKind.QUOTE, source, item)))

    def _of_reviews(self, desk: Desk, item: str, judged: _Judged) -> list[Statement]:
        """Count and quote the reviews that say something about it; where they differ, each side."""
        said = self._saying(judged)
        if not said:
            return []
        total = int((self._snapshot.reviews.counted["item"] == desk.row(item)).sum())
        sides = {tone: [one for one in said if one.sentiment == tone] for tone in (POSITIVE, NEGATIVE)}
        if all(sides.values()):
            keys = {"reviews_praise": sides[POSITIVE], "reviews_complain": sides[NEGATIVE]}
        else:
            keys = {"product_reviews": said}
        facts = desk.name(item), Fact("total", total, FactKind.NUMBER, REVIEWS, item)
        return [Statement(desk.write(key, *facts, *_counted(item, some))) for key, some in keys.items()]

    def _saying(self, judged: _Judged) -> list[ProductPassage]:
        """Return a sentence of each review that answers too, or has the same words of the question as the best passage, the best first."""
        best = judged.words[judged.best]
        same = (judged.words >= best) & (best >= AGREES)
        answering = judged.probabilities >= self._answer_from
        answering[judged.best] = True
        found: dict[int, ProductPassage] = {}
        for i in np.argsort(-judged.probabilities, kind="stable"):
            review = judged.passages[i].review
            if review is not None and (same[i] or answering[i]):
                found.setdefault(review, judged.passages[i])
        return list(found.values())


def _counted(item: str, said: Sequence[ProductPassage]) -> tuple[Fact, Fact]:
    quote = Fact("quote", said[0].text, FactKind.QUOTE, REVIEWS, item)
    return Fact("count", len(said), FactKind.NUMBER, REVIEWS, item), quote
