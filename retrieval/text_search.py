"""Retrieval for a query in words: BM25 and the cosine of text vectors, mixed over the best of both.

References
----------
J. Libovický, R. Rosa and A. Fraser (2020). On the Language Neutrality of Pre-trained Multilingual Representations. Findings of EMNLP: the
mean vector of each language is subtracted.

S. Bruch, S. Gai and A. Ingber (2023). An Analysis of Fusion Functions for Hybrid Retrieval. ACM TOIS 42(1): a convex
combination of normalised scores is better than reciprocal rank fusion, and hardly depends on how they are normalised.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from features.behavior.query_clicks import QueryClicks
from features.names import DENSE_SCORE, LEXICAL_SCORE, RELEVANCE
from features.storage.sorted_unique import sorted_unique
from features.text.languages.scripts import script_of
from retrieval.candidates import Candidates
from retrieval.items_of_texts import ItemsOfTexts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from features.data.histories import Histories
    from features.data.queries import Queries
    from retrieval.index import ItemIndex
    from retrieval.lexical.index import LexicalIndex


class TextSearchConfig(BaseModel):
    """How a query is matched with texts.

    Attributes
    ----------
    candidates : items a query that are ranked.
    texts : distinct texts a source that are scored by both sources.
    lexical : weight of BM25; the cosine has the rest.
    category : weight of the relevance of the item's category: the mean of its best texts.
    a_text : items of one text among the candidates, at most.
    other_script : weight of the cosine of a text in another script than the query, none of whose words it can hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    candidates: int = Field(default=200, ge=10)
    texts: int = Field(default=200, ge=10)
    lexical: float = Field(default=0.6, ge=0, le=1)
    category: float = Field(default=0.3, ge=0)
    a_text: int = Field(default=20, ge=1)
    other_script: float = Field(default=0.6, ge=0, le=1)


@dataclass(frozen=True)
class Wording:
    """One way to ask for something.

    Attributes
    ----------
    text : for the encoder.
    tokens : for BM25.
    weight : factor of its scores.
    """

    text: str
    tokens: tuple[str, ...]
    weight: float = 1.0


def query_key(tokens: Iterable[str]) -> str:
    """Return what queries of the same words have in common, whatever their order."""
    return " ".join(sorted(set(tokens)))


def count_clicks(log: Queries | None, words: LexicalIndex, *, debiased: bool = True, share: float = 1.0) -> QueryClicks:
    """Count a search log by the keys of its queries; empty without one, or of one without rows. See `QueryClicks.count`."""
    if log is None or not len(log):
        return QueryClicks.empty()
    return QueryClicks.count(log, lambda text: query_key(words.analyzer.tokens(text)), debiased=debiased, share=share)


CATEGORY_TEXTS = 20  # best texts of a category that speak for it
NEAR = 0.3  # cosine above the usual, from which a text counts as near whatever else the catalogue has


@dataclass(frozen=True)
class TextSearch:
    """The catalogue's distinct texts, by their words and by their vectors.

    Attributes
    ----------
    lexical : of the t texts.
    vectors : of unit norm, float32 (t, dim).
    index : over `vectors`.
    text_of : each item's text, int64 (n_items,).
    category_of : code of each text's category, int32 (t,); -1 without one.
    sales : order among items of one text, float (n_items,).
    scripts : of each text, from `features.text.languages.scripts`, int8 (t,); None for a catalogue in one script.
    """

    lexical: LexicalIndex
    vectors: np.ndarray
    index: ItemIndex
    text_of: np.ndarray
    category_of: np.ndarray
    sales: np.ndarray
    config: TextSearchConfig = field(default_factory=TextSearchConfig)
    scripts: np.ndarray | None = None

    @cached_property
    def _center(self) -> np.ndarray:
        """The mean vector: its cosine is that of a text that has nothing to do with the query, float32 (dim,)."""
        return self.vectors.mean(axis=0)

    @cached_property
    def _centers(self) -> dict[int, np.ndarray]:
        """The mean vector of each script: a multilingual encoder places every language apart (Libovický et al. 2020)."""
        scripts = np.zeros(0, dtype=np.int8) if self.scripts is None else self.scripts
        return {int(code): self.vectors[scripts == code].mean(axis=0) for code in np.unique(scripts[scripts >= 0])}

    @cached_property
    def _items_of(self) -> ItemsOfTexts:
        return ItemsOfTexts(self.text_of, self.sales, len(self.vectors))

    def retrieve(self, wordings: Sequence[Wording], vectors: np.ndarray, user: Histories, allowed: np.ndarray) -> Candidates:
        """Find the items that fit a query best.

        Parameters
        ----------
        wordings : ways to ask for the same; an item is as relevant as the wording says that it fits best.
        vectors : of the wordings, unit norm, float32 (m, dim).
        user : the one user who asks (b = 1); what they bought is among the items that are kept of a text.
        allowed : items that may be returned, bool (n_items,).

        Returns
        -------
        Candidates
            Scores are relevance, comparable between queries: about 1 for a text that is best for every word and near in meaning.
        """
        permitted = self._items_of.texts_with(allowed) if len(self.text_of) else np.zeros(0, dtype=bool)
        lexical = [self.lexical.scores_and_best(wording.tokens) for wording in wordings]
        scored = [(*found, vector) for found, vector in zip(lexical, vectors, strict=True)]
        near = self._nearest(vectors, permitted)
        matching = [_best(np.where(permitted, scores, 0), self.config.texts) for scores, _ in lexical]
        texts = sorted_unique(np.concatenate([near, *matching]).astype(np.int64))
        if not len(texts):
            return Candidates(user, np.zeros((1, 0), dtype=np.int64), np.zeros((1, 0), dtype=np.float32))
        parts = [self._relevance(texts, *one, self._foreign(texts, two.text)) for one, two in zip(scored, wordings, strict=True)]
        mixed = np.stack([part[0] * wording.weight for part, wording in zip(parts, wordings, strict=True)])
        best, places = mixed.argmax(axis=0), np.arange(len(texts))
        relevance = mixed[best, places]
        if self.config.category:
            relevance = relevance + self.config.category * self._of_category(texts, relevance)
        relevance = _levelled(relevance, max(part[3] * wording.weight for part, wording in zip(parts, wordings, strict=True)))
        words, cosine = (np.stack([part[i] for part in parts])[best, places] for i in (1, 2))
        return self._items(texts, {RELEVANCE: relevance, LEXICAL_SCORE: words, DENSE_SCORE: cosine}, user, allowed)

    def items_with_words(self, wordings: Sequence[Wording]) -> np.ndarray:
        """Return which items have a word of the first wording, or all of another, bool (n_items,)."""
        held = self.lexical.scores(wordings[0].tokens if wordings else ()) > 0
        for wording in wordings[1:]:
            held |= self.lexical.holding_all(wording.tokens)
        return held[self.text_of]

    def _nearest(self, vectors: np.ndarray, permitted: np.ndarray) -> np.ndarray:
        """Return the texts nearest to the wordings, of each script as many, since texts of the query's own are nearer as a rule."""
        most = min(self.config.texts, len(self.vectors))
        masks = [permitted] if self.scripts is None else [permitted, *(permitted & (self.scripts == code) for code in self._centers)]
        found = np.concatenate([self.index.search(vectors, most, mask)[0].ravel() for mask in masks])
        return found[found >= 0]

    def _foreign(self, texts: np.ndarray, wording: str) -> np.ndarray:
        """Return which texts (m,) are in another script than a wording whose script the catalogue has, bool (m,)."""
        if self.scripts is None or (own := script_of(wording)) not in self._centers:
            return np.zeros(len(texts), dtype=bool)
        return (self.scripts[texts] >= 0) & (self.scripts[texts] != own)

    def _usual(self, texts: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Return the cosine of a text of each text's script that has nothing to do with the query, float (m,)."""
        usual = np.full(len(texts), self._center @ vector, dtype=np.float32)
        if self.scripts is not None:
            for code, center in self._centers.items():
                usual[self.scripts[texts] == code] = center @ vector
        return usual

    def _relevance(
        self, texts: np.ndarray, lexical: np.ndarray, full: float, vector: np.ndarray, foreign: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Return the relevance of texts (m,) to one wording, its parts, BM25 as a share of the full score and cosine, and its level.

        Nearness is relative to the nearest text, which orders best. The level is the best relevance with nearness in units of `NEAR`.
        """
        words, cosine = lexical[texts], self.vectors[texts] @ vector
        above = cosine - self._usual(texts, vector)
        nearness = above / max(float(above.max()), 1e-6)
        if words.max() <= 0:  # no text has one of the words: they say nothing
            return nearness, words, cosine, float(above.max()) / NEAR
        words = words / full
        share = self.config.lexical
        alone = np.where(foreign & (words <= 0), self.config.other_script, 1 - share)
        return share * words + alone * nearness, words, cosine, float((share * words + alone * above / NEAR).max())

    def _of_category(self, texts: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        """Return the relevance of each text's category, 0 to 1: the mean of its best texts, those beyond the list counted as 0."""
        categories = self.category_of[texts]
        order = np.lexsort((-relevance, categories))
        sorted_codes = categories[order]
        place = np.arange(len(order)) - np.searchsorted(sorted_codes, sorted_codes)
        counted = place < CATEGORY_TEXTS
        sums = np.zeros(int(self.category_of.max(initial=-1)) + 2)
        np.add.at(sums, sorted_codes[counted], np.maximum(relevance[order][counted], 0))  # -1 is the last place
        sums[-1] = 0
        return sums[categories] / max(sums.max(), 1e-6)

    def _items(self, texts: np.ndarray, scores: dict[str, np.ndarray], user: Histories, allowed: np.ndarray) -> Candidates:
        """Return the allowed items of texts: of each text those that the user bought, then best sellers."""
        items, owner = self._items_of.of(texts, allowed)
        own = np.isin(items, user.purchases.item)
        order = np.lexsort((np.arange(len(items)), ~own, owner))
        items, owner = items[order], owner[order]
        place = np.arange(len(items)) - np.searchsorted(owner, owner)
        few = place < self.config.a_text
        items, owner, place = items[few], owner[few], place[few]
        order = np.lexsort((place, -scores[RELEVANCE][owner]))[: self.config.candidates]
        rows, owner = items[order][None], owner[order]
        features = {name: values[owner][None].astype(np.float32) for name, values in scores.items()}
        return Candidates(user, rows, features[RELEVANCE], features)


def _levelled(relevance: np.ndarray, level: float) -> np.ndarray:
    """Return relevance (m,) in the same order, with the best at a level above 0."""
    best = float(relevance.max())
    return relevance * (max(level, 1e-6) / best) if best > 0 else relevance


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the places of the k highest scores above 0, int64 (m,), in no order."""
    found = np.flatnonzero(scores > 0)
    return found if len(found) <= k else found[np.argpartition(-scores[found], k - 1)[:k]]
