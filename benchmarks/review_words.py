"""Which weight the words of reviews get in the lexical index, on a made-up shop whose items' qualities are known.

    python -m benchmarks.review_words

An item has two of ten qualities. A third of its reviews praise each of them, one in twenty-five each other quality; one in twelve complains
of something. Titles name a quality for one item in ten. A query is a quality and a category ("quiet vacuum cleaner"); the items
of the category that have the quality are relevant. A plain query is a material and a category, which titles name: what the field costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import product

import numpy as np
import polars as pl

from features.names import CATEGORY, NEGATIVE, POSITIVE, REVIEW, SENTIMENTS, TITLE
from features.reviews.praise import praising_words
from features.reviews.scored import MENTION_SCHEMA, REVIEW_SCHEMA, ScoredReviews
from retrieval.lexical.fields import REVIEWS, item_fields
from retrieval.lexical.index import LexicalConfig, LexicalIndex

CATEGORIES = (
    "vacuum cleaner",
    "kettle",
    "toaster",
    "blender",
    "heater",
    "fan",
    "lamp",
    "printer",
    "drill",
    "mower",
    "mixer",
    "juicer",
    "monitor",
)
MATERIALS, MODELS, PER_CATEGORY, SHOPS = ("steel", "glass", "plastic", "copper"), "ABCDEFGHKLMNPRST", 20, 5
QUALITIES = ("quiet", "light", "sturdy", "elegant", "compact", "fast", "warm", "bright", "handy", "safe")
PRAISE = ("So {} that I use it every day.", "Very {} and well made.", "I like how {} it is.", "It is {}, just as I hoped.")
COMPLAINTS = ("It is not {} at all.", "Far from {}, a disappointment.", "Broke after a week.")
PASSING = ("I use it with my {}.", "Better than my old {}.")  # other things are named in praise, too
WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
OWN, OTHERS, COMPLAINT, PASSED, LONGEST = 1 / 3, 1 / 25, 1 / 12, 0.1, 2_000


@dataclass(frozen=True)
class MadeShop:
    """Items, what their reviews say, and which qualities they have, bool (n_items, n_qualities)."""

    items: pl.DataFrame
    reviews: ScoredReviews
    has: np.ndarray

    @classmethod
    def of(cls, seed: int) -> MadeShop:
        """Make one."""
        rng = np.random.default_rng(seed)
        n = len(CATEGORIES) * PER_CATEGORY
        has = np.zeros((n, len(QUALITIES)), dtype=bool)
        titles, told, owner = [], [], []
        for item in range(n):
            has[item, rng.choice(len(QUALITIES), 2, replace=False)] = True
            kind = CATEGORIES[item // PER_CATEGORY]
            named = f"{rng.choice(QUALITIES)} " if rng.random() < 0.1 else ""
            titles.append(f"{named}{rng.choice(MATERIALS)} {kind} {rng.choice(list(MODELS))}{rng.integers(100, 1000)}")
            for _ in range(int(rng.lognormal(3, 1))):
                told.append(_review(rng, has[item]))
                owner.append(item)
        items = pl.DataFrame({TITLE: titles, CATEGORY: [f"Home|{CATEGORIES[item // PER_CATEGORY]}s" for item in range(n)]})
        return cls(items, _scored(owner, told), has)

    def sentences(self) -> pl.Series:
        """The other way: the praising sentences of each item as they are, up to the length of a description."""
        praise = self.reviews.counted_mentions.filter(pl.col("sentiment") == POSITIVE)
        texts = praise.group_by("item").agg(pl.col("sentence").str.join(" ").str.slice(0, LONGEST))
        every = pl.DataFrame({"item": range(self.items.height)}, schema={"item": pl.Int32})
        return every.join(texts, on="item", how="left", maintain_order="left")["sentence"].fill_null("")


def _review(rng: np.random.Generator, has: np.ndarray) -> list[tuple[str, str]]:
    """Return sentences with their sentiment."""
    praised = np.flatnonzero(rng.random(len(QUALITIES)) < np.where(has, OWN, OTHERS))
    found = [(str(rng.choice(PRAISE)).format(QUALITIES[quality]), POSITIVE) for quality in praised]
    if rng.random() < PASSED:
        found.append((str(rng.choice(PASSING)).format(rng.choice(CATEGORIES)), POSITIVE))
    if rng.random() < COMPLAINT:
        found.append((str(rng.choice(COMPLAINTS)).format(rng.choice(QUALITIES)), NEGATIVE))
    return found or [("It works.", POSITIVE)]


def _scored(owner: list[int], told: list[list[tuple[str, str]]]) -> ScoredReviews:
    sure = {name: tuple(0.9 if name == other else 0.05 for other in SENTIMENTS) for name in SENTIMENTS}
    rows = [
        (place, item, f"u{place}", datetime(2026, 1, 1), 5.0, place, str(place), *sure[POSITIVE], POSITIVE, None)
        for place, item in enumerate(owner)
    ]
    mentions = [(place, "quality", text, *sure[how], how) for place, sentences in enumerate(told) for text, how in sentences]
    reviews = pl.DataFrame(rows, schema=REVIEW_SCHEMA, orient="row")
    return ScoredReviews(reviews, pl.DataFrame(mentions, schema=MENTION_SCHEMA, orient="row").sort(REVIEW, maintain_order=True))


def _index(shop: MadeShop, praise: pl.Series | None, weight: float) -> LexicalIndex:
    fields, weights = item_fields(shop.items), LexicalConfig().weights
    if praise is None:
        return LexicalIndex.build(fields)
    return LexicalIndex.build(fields.with_columns(praise.alias(REVIEWS)), LexicalConfig(weights=weights | {REVIEWS: weight}))


def _found(index: LexicalIndex, text: str, relevant: np.ndarray) -> tuple[float, float]:
    """Return precision among as many items as are relevant, and NDCG@10, averaged over the orders of equal scores."""
    scores = index.scores(index.analyzer.tokens(text)).astype(np.float64)
    values = []
    for seed in range(5):
        order = np.lexsort((np.random.default_rng(seed).random(len(scores)), -scores))
        hits = np.isin(order, relevant).astype(float)
        discounts = 1 / np.log2(np.arange(10) + 2)
        values.append((hits[: len(relevant)].mean(), (hits[:10] * discounts).sum() / discounts[: len(relevant)].sum()))
    precision, ndcg = np.mean(values, axis=0)
    return float(precision), float(ndcg)


def _judge(index: LexicalIndex, shop: MadeShop) -> tuple[float, float, float]:
    """Return precision and NDCG@10 of the queries for a quality, and NDCG@10 of plain queries."""
    kind_of = np.repeat(np.arange(len(CATEGORIES)), PER_CATEGORY)
    found = []
    for (kind, category), (quality, word) in product(enumerate(CATEGORIES), enumerate(QUALITIES)):
        relevant = np.flatnonzero((kind_of == kind) & shop.has[:, quality])
        if len(relevant):
            found.append(_found(index, f"{word} {category}", relevant))
    plain = []
    for material, (kind, category) in product(MATERIALS, enumerate(CATEGORIES)):
        relevant = np.flatnonzero((kind_of == kind) & shop.items[TITLE].str.contains(material).to_numpy())
        if len(relevant):
            plain.append(_found(index, f"{material} {category}", relevant)[1])
    return (*np.mean(found, axis=0).tolist(), float(np.mean(plain)))


def main() -> None:
    """Print a row for each way and weight."""
    shops = [MadeShop.of(seed) for seed in range(SHOPS)]
    n_items = shops[0].items.height
    ways = {
        "words": [praising_words(shop.reviews, np.arange(n_items), n_items) for shop in shops],
        "sentences": [shop.sentences() for shop in shops],
    }
    rows = [("without", [None] * SHOPS, 0.0), *((name, praise, weight) for name, praise in ways.items() for weight in WEIGHTS)]
    print("| field | weight | precision | NDCG@10 | plain NDCG@10 |\n|---|---|---|---|---|")
    for name, praise, weight in rows:
        figures = [_judge(_index(shop, one, weight), shop) for shop, one in zip(shops, praise, strict=True)]
        mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0)
        print(
            f"| {name} | {weight:g} | " + " | ".join(f"{value:.3f} ± {some:.3f}" for value, some in zip(mean, spread, strict=True)) + " |"
        )


if __name__ == "__main__":
    main()
