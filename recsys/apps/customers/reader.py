"""Answers who the customers are, from the log and the predictions in a bundle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from features.behavior.rhythm import BEFORE, MONTH, YEAR, Rhythms
from features.errors import DataError
from features.names import (
    CHANCE_28,
    NEXT_PURCHASE,
    PURCHASE_DAYS,
    RECENCY,
    SEGMENT,
    SPEND,
    SPEND_90,
    SPEND_90_HIGH,
    SPEND_90_LOW,
    SPEND_IN,
    TENURE,
    USER_ROW,
    USUAL_GAP,
)
from recsys.apps.customers import answers as a
from recsys.apps.customers.cohorts import BOUGHT, COHORT, CUSTOMERS, MONTHS_SINCE, MOST, cohorts
from recsys.apps.customers.movements import EPOCH, FROM, NOT_YET, SHARE, TO, movements
from recsys.apps.customers.segments import SEGMENTS, SegmentRules, segment_of
from recsys.apps.customers.taste import Tastes
from recsys.apps.customers.watch import ALERTS, RefreshDays, sentence
from recsys.apps.reviews.alerts import AlertLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recsys.recommend.pipeline import Recommender

Hidden = Callable[[set[str]], list[str]]  # those of some ids that must not be shown


class UnknownCustomerError(DataError):
    """The log has no purchase of a customer."""


def unknown(user_id: str) -> str:
    """Return the message that the log does not have a customer."""
    return f"the log has no customer {user_id!r}: check the id; who came after the last build is known after `recsys refresh`"


@dataclass(frozen=True)
class CustomersReader:
    """Answers questions about customers over one recommender.

    Attributes
    ----------
    reports : folder of the workspace with the alerts and days of refreshes.
    """

    recommender: Recommender
    reports: Path

    def segments(self) -> a.SegmentsAnswer:
        """Return the segments with their rules and figures. Raises what `table` does."""
        figures = tuple(self._figures(name) for name in SEGMENTS)
        return a.SegmentsAnswer(self.recommender.bundle_id, self._date(self._day), self.table.height, figures, self._notes)

    def of_segment(self, name: str, k: int, hidden: Hidden | None = None) -> a.CustomersAnswer:
        """Return the k customers of a segment with the largest expected spend.

        Raises
        ------
        DataError
            There is no such segment, or what `table` raises.
        """
        segment = segment_of(name)
        table = self._listed(segment)
        rows: list[a.CustomerRow] = []
        for start in range(0, table.height, k):
            part = list(self._rows(table[start : start + k]))
            gone = set(hidden({row.user_id for row in part})) if hidden else set()
            rows += [row for row in part if row.user_id not in gone]
            if len(rows) >= k:
                break
        return a.CustomersAnswer(
            self.recommender.bundle_id, self._date(self._day), self._figures(segment), table.height, tuple(rows[:k]), self._notes
        )

    def rows(self, name: str | None) -> Iterator[a.CustomerRow]:
        """Yield all customers of a segment, or of the shop, in the order of `of_segment`. Raises what that does."""
        return self._rows(self._listed(None if name is None else segment_of(name)))

    def customer(self, user_id: str) -> a.CustomerAnswer:
        """Return what is known and expected of one customer.

        Raises
        ------
        UnknownCustomerError
            The log does not have the customer, or no purchase of theirs.
        DataError
            What `table` raises.
        """
        table, log = self.table, self.recommender.snapshot.log
        row = int(log.user_rows([user_id])[0])
        if row < 0:
            raise UnknownCustomerError(unknown(user_id))
        found = table.filter(pl.col(USER_ROW) == row)
        if found.is_empty():
            raise UnknownCustomerError(f"customer {user_id!r} has bought nothing yet: customers are those with a purchase")
        (known,), facts = self._rows(found), found.row(0, named=True)
        new, abandoned = self._tastes.changes(row, facts[USUAL_GAP])
        return a.CustomerAnswer(
            bundle_id=self.recommender.bundle_id,
            customer=known,
            rule=self.rules.sentence(known.segment),
            first_purchase=self._date(self._day - facts[TENURE]),
            last_purchase=self._date(self._day - facts[RECENCY]),
            categories=self._tastes.categories(row),
            examples=self._tastes.examples(row),
            new_categories=new,
            abandoned_categories=abandoned,
            notes=self._notes,
        )

    def cohorts(self) -> a.CohortsAnswer:
        """Return the latest cohorts. Raises what `table` does."""
        assert self.table is not None
        found = cohorts(self._rhythms.days)
        parts = [
            a.Cohort(
                part[COHORT][0],
                part[CUSTOMERS][0],
                tuple(a.CohortMonth(m, round(b, 4), round(s, 2)) for m, b, s in part.select(MONTHS_SINCE, BOUGHT, SPEND).iter_rows()),
            )
            for part in found.partition_by(COHORT, maintain_order=True)
        ]
        earlier = max(0, len(parts) - MOST)
        return a.CohortsAnswer(self.recommender.bundle_id, self._date(self._day), earlier, tuple(parts[earlier:]))

    def movements(self) -> a.MovementsAnswer:
        """Return who moved between segments since the refresh before, and open alerts. Raises what `table` does."""
        assert self.table is not None
        days = RefreshDays.of(self.reports)
        before = days.before if days.latest == self._day else days.latest
        notes = ()
        if before is None or before >= self._day:
            before, notes = self._day - MONTH, (f"no refresh with an earlier log is known: movements of the last {MONTH} days",)
        found = movements(self._rhythms, self.rules, before, self._day)
        stayed = found.filter(pl.col(FROM) == pl.col(TO))[CUSTOMERS].sum()
        moved = found.filter(pl.col(FROM) != pl.col(TO))
        rows = tuple(
            a.Movement(source, target, count, 1.0 if source == NOT_YET else round(share, 4), round(spend, 2))
            for source, target, count, share, spend in moved.select(FROM, TO, CUSTOMERS, SHARE, SPEND_IN.format(YEAR)).iter_rows()
        )
        alerts = tuple(sentence(alert) for alert in reversed(AlertLog.of(self.reports, ALERTS).open))
        return a.MovementsAnswer(self.recommender.bundle_id, self._date(before), self._date(self._day), int(stayed), rows, alerts, notes)

    @cached_property
    def table(self) -> pl.DataFrame:
        """The customers who have bought, with what is known and expected of each, and their segment.

        Raises
        ------
        DataError
            The bundle has no predictions, the log has no calendar, or nobody has bought anything.
        """
        customers = self.recommender.snapshot.customers
        if not customers.built:
            raise DataError(
                f"bundle {self.recommender.bundle_id} has no table of customers, it is of an earlier version: run `recsys build-index`"
            )
        if not customers.until and len(self.recommender.snapshot.log):
            raise DataError("the log has only the order of events, and customers need dates: bring a log with times, then `recsys ingest`")
        table = self._rhythms.on(self._day)
        if table.is_empty():
            raise DataError("the log has no purchases, so it has no customers: bring a log with purchases, then `recsys ingest`")
        return self.rules.assign(table).join(customers.expected, on=USER_ROW, how="left")

    @cached_property
    def rules(self) -> SegmentRules:
        """The thresholds of the segments, from this shop's own customers."""
        return SegmentRules.of(self._rhythms, self._rhythms.on(self._day))

    @cached_property
    def _rhythms(self) -> Rhythms:
        return Rhythms.of(self.recommender.snapshot.customers.days)

    @cached_property
    def _tastes(self) -> Tastes:
        return Tastes(self.recommender.snapshot.catalog, self.recommender.snapshot.log)

    @property
    def _day(self) -> int:
        """The last day of the log, days since the epoch."""
        return self.recommender.snapshot.customers.last_day

    @property
    def _notes(self) -> tuple[str, ...]:
        return self.recommender.snapshot.customers.notes

    @cached_property
    def _by_segment(self) -> dict[str, dict[str, Any]]:
        known = [pl.len().alias(CUSTOMERS), pl.col(SPEND_IN.format(YEAR)).sum().alias(SPEND)]
        # The sum of a column that was not predicted is null, not 0.
        expected = pl.when(pl.col(SPEND_90).count() > 0).then(pl.col(SPEND_90).sum()).alias(SPEND_90)
        rows = self.table.group_by(SEGMENT).agg(*known, pl.col(CHANCE_28).mean(), expected)
        return {row[SEGMENT]: row for row in rows.iter_rows(named=True)}

    def _figures(self, name: str) -> a.SegmentFigures:
        found = self._by_segment.get(name, {CUSTOMERS: 0, SPEND: 0.0, CHANCE_28: None, SPEND_90: None})
        count = found[CUSTOMERS]
        return a.SegmentFigures(
            segment=name,
            rule=self.rules.sentence(name),
            customers=count,
            share=round(count / self.table.height, 4),
            spend=round(found[SPEND], 2),
            chance_28=_rounded(found[CHANCE_28], 4),
            spend_90=_rounded(found[SPEND_90], 2),
        )

    def _listed(self, segment: str | None) -> pl.DataFrame:
        table = self.table if segment is None else self.table.filter(pl.col(SEGMENT).cast(pl.String) == segment)
        return table.sort([SPEND_90, SPEND, USER_ROW], descending=[True, True, False], nulls_last=True)

    def _rows(self, table: pl.DataFrame) -> Iterator[a.CustomerRow]:
        ids = self.recommender.snapshot.log.user_ids
        for row in table.iter_rows(named=True):
            wait = row[NEXT_PURCHASE]
            yield a.CustomerRow(
                user_id=str(ids[row[USER_ROW]]),
                segment=row[SEGMENT],
                recency=row[RECENCY],
                usual_gap=round(row[USUAL_GAP], 1),
                purchase_days=row[PURCHASE_DAYS],
                spend=round(row[SPEND], 2),
                spend_28=round(row[SPEND_IN.format(MONTH)], 2),
                spend_28_before=round(row[BEFORE], 2),
                chance_28=_rounded(row[CHANCE_28], 4),
                next_purchase=None if wait is None else self._date(self._day + max(1, math.ceil(wait))),
                **{name: _rounded(row[name], 2) for name in (SPEND_90, SPEND_90_LOW, SPEND_90_HIGH)},
            )

    def _date(self, day: int) -> str:
        return (EPOCH + timedelta(int(day))).isoformat()


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
