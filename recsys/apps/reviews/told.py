"""Says what an alert is about: a sentence, and the quotes that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.names import ASPECT, BRAND, CATEGORY, ITEM_ID, NEGATIVE, REVIEW, SENTENCE, SENTIMENT, TIMESTAMP, TITLE
from recsys.apps.reviews.alerts import parts_of
from recsys.apps.reviews.answers import Quote, ReviewAlert
from recsys.apps.reviews.quotes import quote_of

if TYPE_CHECKING:
    from eval.monitoring.alerts import Alert
    from features.data.catalog import Catalog
    from features.reviews.scored import ScoredReviews

QUOTES = 3
_COLUMNS = {"item": ITEM_ID, "brand": BRAND, "category": CATEGORY}


def tell(alert: Alert, scored: ScoredReviews, catalog: Catalog) -> ReviewAlert:
    """Return the alert in words, with quotes of the reviews that raised it."""
    level, name, aspect = parts_of(alert.series)
    title = name
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
        sentence=_sentence(alert, level, title, name, aspect),
        quotes=_quotes(alert, scored, catalog),
    )


def _sentence(alert: Alert, level: str, title: str, name: str, aspect: str | None) -> str:
    where = {"shop": "the shop", "item": f"{title} ({name})"}.get(level, f"the {level} {title}")
    about = f" about {aspect}" if aspect else ""
    counts = f"since {alert.began}, {alert.negatives:,} of {alert.total:,} reviews of {where} complain{about}"
    if alert.ended is not None:
        how = "this has been so for weeks and counts as usual from now on" if alert.settled else f"it is {alert.share_now:.0%} again"
        return f"Ended on {alert.ended}: complaints{about} of {where}, {alert.share_before:.0%} before; {how}."
    worse = "It gets worse: " if alert.severity > 1 else ""
    authors = alert.few_authors
    few = f" Few authors: three of them wrote {authors.top:,} of {authors.negatives:,}." if authors is not None and authors.few else ""
    text = f"{worse}{counts}: {alert.share_now:.0%} of the latest, {alert.share_before:.0%} before.{few}"
    return text[0].upper() + text[1:]


def _quotes(alert: Alert, scored: ScoredReviews, catalog: Catalog) -> tuple[Quote, ...]:
    """Return the most negative sentences of the surge's reviews, the newest first among equals; none twice."""
    level, name, aspect = parts_of(alert.series)
    table = scored.counted_mentions
    during = pl.col(TIMESTAMP).dt.date().is_between(alert.began, alert.ended or alert.raised)
    table = table.filter(during & (pl.col(SENTIMENT) == NEGATIVE))
    if aspect is not None:
        table = table.filter(pl.col(ASPECT) == aspect)
    if level != "shop":
        table = table.filter(catalog.frame[_COLUMNS[level]].gather(table["item"]).eq(name).fill_null(value=False))
    best = table.sort([NEGATIVE, REVIEW], descending=True).unique(SENTENCE, keep="first", maintain_order=True).head(QUOTES)
    return tuple(quote_of(row, catalog) for row in best.iter_rows(named=True))
