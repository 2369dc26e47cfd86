"""Answers what customers say of an item, a brand, a category or the shop, from the reviews in a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from features.errors import DataError
from features.names import (
    ASPECT,
    BRAND,
    CATEGORY,
    ITEM_ID,
    LEFT_OUT,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    TIMESTAMP,
    TITLE,
    TREND,
)
from features.reviews import summary
from features.text.closest import did_you_mean
from ranking.filters import in_categories
from recsys.apps.reviews.alerts import AlertLog
from recsys.apps.reviews.answers import AspectFigures, ReviewFigures, ReviewsAnswer
from recsys.apps.reviews.quotes import quote_of
from recsys.apps.reviews.told import tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from features.reviews.scored import ScoredReviews
    from recsys.apps.reviews.answers import ReviewAlert
    from recsys.apps.reviews.request import Level, ReviewsRequest
    from recsys.recommend.pipeline import Recommender

PARTS = 10  # names that stand out
LEAST_REVIEWS = 5  # of a name that stands out
NO_REVIEWS = "the bundle has no reviews: run `recsys ingest` with --reviews FILE, then `recsys build-index`"


@dataclass(frozen=True)
class ReviewsReader:
    """Answers questions about reviews over one recommender.

    Attributes
    ----------
    reports : folder of the workspace with the alerts that refreshes found.
    """

    recommender: Recommender
    reports: Path

    @property
    def scored(self) -> ScoredReviews:
        """The reviews.

        Raises
        ------
        DataError
            The bundle has none.
        """
        scored = self.recommender.snapshot.reviews
        if not len(scored):
            raise DataError(NO_REVIEWS)
        return scored

    def answer(self, request: ReviewsRequest) -> ReviewsAnswer:
        """Return the figures of what is asked for.

        Raises
        ------
        DataError
            There are no reviews, or none of what is asked for, or an item, brand, category or aspect is unknown.
        """
        if request.aspect is not None and request.aspect not in self.aspects:
            hint = did_you_mean(request.aspect, self.aspects) or f": expected one of {', '.join(self.aspects)}"
            raise DataError(f"no review mentions the aspect {request.aspect!r}{hint}")
        mask = self._mask(request)
        named = pl.select(pl.when(pl.Series(mask)).then(pl.lit(request.name))).to_series()
        figures = self._figures(request.level, named, request.aspect)
        if not figures:
            raise DataError(f"no review is of {self._named(request)}")
        below: tuple[Level, ...] = {"shop": ("category", "brand", "item"), "item": ()}.get(request.level, ("item",))
        parts = [part for level in below for part in self._standing_out(level, mask, request.aspect)]
        return ReviewsAnswer(self.recommender.bundle_id, figures[0], tuple(parts), request.aspect)

    def alerts(self) -> list[ReviewAlert]:
        """Return the surges of complaints that have not ended, as the last refresh found them, the latest first."""
        snapshot = self.recommender.snapshot
        return [tell(alert, snapshot.reviews, snapshot.catalog) for alert in reversed(AlertLog.of(self.reports).open)]

    @property
    def watched(self) -> bool:
        """Whether a refresh has looked for surges."""
        return bool(AlertLog.of(self.reports).bundle_id)

    @cached_property
    def aspects(self) -> Sequence[str]:
        """The aspects that any review mentions."""
        return self.scored.mentions[ASPECT].drop_nulls().unique().sort().to_list()

    @cached_property
    def _now(self) -> datetime:
        latest: Any = self.scored.reviews[TIMESTAMP].max()
        return max(datetime.fromtimestamp(self.recommender.snapshot.now, UTC).replace(tzinfo=None), latest or datetime.min)

    def _mask(self, request: ReviewsRequest) -> np.ndarray:
        """Return the catalogue rows that are asked for, bool (n_items,)."""
        catalog = self.recommender.snapshot.catalog
        if request.item is not None:
            return np.arange(len(catalog)) == catalog.rows_or_raise([request.item])[0]
        if request.brand is not None:
            return self.recommender.snapshot.catalogue_words.items_of_brand(catalog.frame[BRAND], request.brand)
        return np.ones(len(catalog), dtype=bool) if request.category is None else in_categories(catalog, (request.category,))

    def _named(self, request: ReviewsRequest) -> str:
        return "the shop" if request.level == "shop" else f"the {request.level} {request.name!r}"

    def _standing_out(self, level: Level, mask: np.ndarray, aspect: str | None) -> list[ReviewFigures]:
        """Return the names of a level with the largest share of complaints, or of those of an aspect, by the lower end of its interval."""
        frame = self.recommender.snapshot.catalog.frame
        column = frame[{"item": ITEM_ID, "brand": BRAND, "category": CATEGORY}[level]]
        keys = pl.DataFrame({"name": column, "in": mask}).select(pl.when("in").then("name"))["name"]
        if aspect is None:
            counts = summary.overall(self.scored, keys).select(summary.KEY, NEGATIVE, of="read")
        else:
            counts = (
                summary.aspects(self.scored, keys, self._now).filter(pl.col(ASPECT) == aspect).select(summary.KEY, NEGATIVE, of="mentions")
            )
        counts = counts.filter(pl.col("of") >= LEAST_REVIEWS)
        names = [name for name, *_ in sorted(counts.iter_rows(), key=lambda row: (-_at_least(row[1], row[2]), row[0]))[:PARTS]]
        found = {one.name: one for one in self._figures(level, keys.set(~keys.is_in(names), None), aspect)}
        return [found[name] for name in names]

    def _figures(self, level: Level, keys: pl.Series, aspect: str | None) -> list[ReviewFigures]:
        """Return the figures of each key; `keys` has one of each catalogue row."""
        scored = self.scored
        overall = summary.overall(scored, keys)
        aspects = summary.aspects(scored, keys, self._now)
        quotes = summary.quotes(scored, keys)
        if aspect is not None:
            aspects, quotes = aspects.filter(pl.col(ASPECT) == aspect), quotes.filter(pl.col(ASPECT) == aspect)
        marked = scored.reviews.with_columns(key=keys.gather(scored.reviews["item"])).drop_nulls([summary.KEY, LEFT_OUT])
        left_out = marked.group_by(summary.KEY, LEFT_OUT).len().sort(LEFT_OUT).partition_by(summary.KEY, as_dict=True)
        of_key, quoted = aspects.partition_by(summary.KEY, as_dict=True), quotes.partition_by(summary.KEY, ASPECT, as_dict=True)
        return [
            ReviewFigures(
                level=level,
                name=row[summary.KEY],
                title=self._title(level, row[summary.KEY]),
                reviews=row["reviews"],
                left_out=dict(left_out[row[summary.KEY],].select(LEFT_OUT, "len").iter_rows()) if (row[summary.KEY],) in left_out else {},
                unread=row["reviews"] - row["read"],
                rating=_rounded(row["rating"]),
                **{name: _rounded(row[name]) if row["read"] else None for name in (POSITIVE, NEUTRAL, NEGATIVE)},
                aspects=tuple(
                    self._aspect(one, quoted.get((row[summary.KEY], one[ASPECT])))
                    for one in (of_key[row[summary.KEY],].iter_rows(named=True) if (row[summary.KEY],) in of_key else ())
                ),
            )
            for row in overall.iter_rows(named=True)
        ]

    def _title(self, level: Level, name: str) -> str:
        if level != "item":
            return name
        catalog = self.recommender.snapshot.catalog
        return catalog.frame[TITLE][int(catalog.rows([name])[0])]

    def _aspect(self, row: dict[str, Any], quotes: pl.DataFrame | None) -> AspectFigures:
        told = () if quotes is None else quotes.iter_rows(named=True)
        shares = {name: _rounded(row[name]) for name in ("recent", "before")}
        return AspectFigures(
            row[ASPECT],
            row["mentions"],
            round(row[POSITIVE], 4),
            round(row[NEGATIVE], 4),
            **shares,
            trend=row[TREND],
            quotes=tuple(quote_of(one, self.recommender.snapshot.catalog) for one in told),
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _at_least(share: float, n: int) -> float:
    """Return the lower end of the 95% interval of a share."""
    from scipy.stats import binomtest  # see `features.reviews.summary`

    return float(binomtest(round(share * n), n).proportion_ci(method="wilson").low)
