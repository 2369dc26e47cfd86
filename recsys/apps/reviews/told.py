"""Says what an alert is about: a sentence, and the quotes that show it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from features.names import ASPECT, BRAND, CATEGORY, ITEM_ID, NEGATIVE, REVIEW, SENTENCE, SENTIMENT, TIMESTAMP, TITLE
from recsys.apps.reviews.alerts import parts_of
from recsys.apps.reviews.answers import Quote, ReviewAlert
from recsys.apps.reviews.quotes import quote_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eval.monitoring.alerts import Alert
    from features.data.catalog import Catalog
    from features.reviews.scored import ScoredReviews

QUOTES = 3
MOST = 0.5  # share of the complaints
_COLUMNS = {"item": ITEM_ID, "brand": BRAND, "category": CATEGORY}


def tell(alert: Alert, scored: ScoredReviews, catalog: Catalog) -> ReviewAlert:
    """Return the alert in words, with quotes of the reviews that raised it."""
    level, name, aspect = parts_of(alert.series)
    title, complaints = name, _complaints(alert, scored, catalog)
    mostly, these = _mostly(complaints, level, aspect, catalog)
    if level == "item" and (row := int(catalog.rows([name])[0])) >= 0:
        title = catalog.frame[TITLE][row]
    return ReviewAlert(
        level=level,
        name=name,
        title=title,
        aspect=aspect,
        event=alert.event,
        began=f"{alert.began}",
        raised=f"{alert.raised}",
        ended=None if alert.ended is None else f"{alert.ended}",
        share_before=round(alert.share_before, 4),
        share_now=round(alert.share_now, 4),
        negatives=alert.negatives,
        reviews=alert.total,
        severity=alert.severity,
        few_authors=alert.few_authors is not None and alert.few_authors.few,
        sentence=_sentence(alert, level, title, name, aspect, mostly),
        quotes=_quotes((these, complaints), catalog),
    )


def _sentence(alert: Alert, level: str, title: str, name: str, aspect: str | None, mostly: str) -> str:
    where = {"shop": "the shop", "item": f"{title} ({name})"}.get(level, f"the {level} {title}")
    about = f" about {aspect}" if aspect else ""
    counts = f"since {alert.began}, {alert.negatives:,} of {alert.total:,} reviews of {where} complain{about}{mostly}"
    if alert.ended is not None:
        how = "this has been so for weeks and counts as usual from now on" if alert.settled else f"it is {alert.share_now:.0%} again"
        return f"Ended on {alert.ended}: complaints{about} of {where}, {alert.share_before:.0%} before; {how}."
    worse = "It gets worse: " if alert.severity > 1 else ""
    authors = alert.few_authors
    few = f" Few authors: three of them wrote {authors.top:,} of {authors.negatives:,}." if authors is not None and authors.few else ""
    text = f"{worse}{counts}: {alert.share_now:.0%} of the latest, {alert.share_before:.0%} before.{few}"
    return text[0].upper() + text[1:]


def _complaints(alert: Alert, scored: ScoredReviews, catalog: Catalog) -> pl.DataFrame:
    """Return the negative mentions in the surge's reviews."""
    level, name, aspect = parts_of(alert.series)
    table = scored.counted_mentions
    during = pl.col(TIMESTAMP).dt.date().is_between(alert.began, alert.ended or date.max)
    table = table.filter(during & (pl.col(SENTIMENT) == NEGATIVE))
    if aspect is not None:
        table = table.filter(pl.col(ASPECT) == aspect)
    if level != "shop":
        table = table.filter(catalog.frame[_COLUMNS[level]].gather(table["item"]).eq(name).fill_null(value=False))
    return table


def _mostly(complaints: pl.DataFrame, level: str, aspect: str | None, catalog: Catalog) -> tuple[str, pl.DataFrame]:
    """Return what most of the complaints are about, if it is more than the alert says, and these complaints."""
    reviews, said, these = complaints[REVIEW].n_unique(), "", complaints
    columns = ([] if aspect else [ASPECT]) + ([] if level == "item" else ["item"])
    for column in columns:
        counts = complaints.drop_nulls(column).group_by(column).agg(pl.col(REVIEW).n_unique())
        counts = counts.sort(REVIEW, column, descending=[True, False])
        if len(counts) and counts[REVIEW][0] > MOST * reviews:
            value = counts[column][0]
            name = value if column == ASPECT else f"{catalog.frame[TITLE][value]} ({catalog.ids[value]})"
            said += f", most {'about' if column == ASPECT else 'of'} {name}"
            these = these.filter(pl.col(column) == value)
    return said, these


def _quotes(groups: Sequence[pl.DataFrame], catalog: Catalog) -> tuple[Quote, ...]:
    """Return the most negative sentences of the first group, then of the next, the newest first among equals; none twice."""
    sentences = pl.concat([complaints.sort([NEGATIVE, REVIEW], descending=True) for complaints in groups])
    best = sentences.unique(SENTENCE, keep="first", maintain_order=True).head(QUOTES)
    return tuple(quote_of(row, catalog) for row in best.iter_rows(named=True))
