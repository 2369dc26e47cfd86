"""Rules of segments, alerts on customers who drift away, and what they cost: `python -m benchmarks.customer_segments --workspace DIR`.

Rows of segments take the customers of an ingested shop at past moments, 28 days apart, by the rules of that moment, and count who buys in
the 28 and 90 days after it; their interval is the exact one of a share. The `flagged` row compares customers who drift away by their own
rhythm with as many who were flagged by one number of days for the whole shop: `ratio` is the spend that was lost, that of the 28 days
before a customer's last purchase less that of the 28 days after the moment, of ours over theirs, with its interval over customers.

Rows of alerts are simulated shops of 400 customers and two years, each customer with a gap of their own around 7 days or, in shops of rare
purchases, 40. In stable shops, `ratio` is the false alarms a year; in others a share of the customers leaves on day 500, and `ratio` is the
share of shops in which that is found within 60 days. `alerts_of_the_shop_a_year` is the alerts in the workspace's own log; nobody knows
which of them are false. Rows of costs are seconds and bytes of the workspace's shop.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.stats import beta, chi2

from eval.monitoring.config import WatchConfig
from features.behavior.purchase_days import PurchaseDays, end_of
from features.behavior.rhythm import Rhythms
from features.data.interactions import DAY
from features.names import PURCHASE_DAYS, RECENCY, SEGMENT, USER_ROW
from ranking.outcomes.customer_models import fit_customer_models
from recsys.apps.customers.movements import EPOCH, departures, find_alerts
from recsys.apps.customers.segments import DRIFTING, SEGMENTS, SegmentRules
from recsys.settings.settings import Settings
from recsys.snapshot.customers import CustomerTables
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from features.data.interactions import Interactions

MOMENTS, APART, MONTH, QUARTER = 5, 28, 28, 90
SHOPS, CUSTOMERS, DAYS, LEAVE, FOUND_DAYS = 60, 400, 730, 500, 60
RESAMPLES = 1000


def say(name: str, ratio: float, interval: tuple[float, float], **more: object) -> None:
    """Print a row."""
    low, high = (round(float(end), 4) for end in interval)
    print(
        json.dumps({"name": name, "ratio": round(float(ratio), 4), "low": low, "high": high, "target": None, "kept": True} | more),
        flush=True,
    )


def exact(hits: int, n: int) -> tuple[float, float]:
    """Return the 95% interval of a share."""
    return (0.0 if not hits else beta.ppf(0.025, hits, n - hits + 1), 1.0 if hits == n else beta.ppf(0.975, hits + 1, n - hits))


def a_year(alarms: int, years: float) -> tuple[float, float]:
    """Return the 95% interval of alarms a year."""
    return (chi2.ppf(0.025, 2 * alarms) / 2 / years if alarms else 0.0, chi2.ppf(0.975, 2 * alarms + 2) / 2 / years)


def until(days: PurchaseDays, day: int) -> PurchaseDays:
    """Return the purchase days up to a day."""
    known = days.day <= day
    columns = (getattr(days, name)[known] for name in ("user", "day", "first", "time", "value", "lines"))
    return PurchaseDays(*columns, n_users=days.n_users)


def spent(days: PurchaseDays, after: np.ndarray, length: int) -> np.ndarray:
    """Return what each user row paid in the days after a day of its own, float64 (n_users,)."""
    since = days.day - after[days.user]
    return np.bincount(days.user, days.value * ((since > 0) & (since <= length)), minlength=days.n_users)


def judge_segments(log: Interactions) -> None:
    """Print who comes back of each segment, and the spend that was lost with flagged customers."""
    days = PurchaseDays.of(log)
    last = (end_of(log) - 1) // DAY - QUARTER
    parts, lost = [], []
    for number in range(MOMENTS):
        day = last - APART * number
        rhythms = Rhythms.of(until(days, day))
        table = rhythms.on(day)
        table = SegmentRules.of(rhythms, table).assign(table)
        users = table[USER_ROW].to_numpy()
        for name, length in (("back_28", MONTH), ("back_90", QUARTER)):
            buys = np.zeros(days.n_users, dtype=bool)
            buys[days.user[(days.day > day) & (days.day <= day + length)]] = True
            table = table.with_columns(pl.Series(name, buys[users]))
        parts.append(table.select(SEGMENT, "back_28", "back_90"))
        lost.append(flagged(days, table, day))
    whole = pl.concat(parts)
    for name in SEGMENTS:
        part = whole.filter(pl.col(SEGMENT).cast(pl.String) == name)
        for column in ("back_28", "back_90"):
            if hits := part.height:
                say(f"{name.replace(' ', '_')}_{column}", part[column].mean(), exact(int(part[column].sum()), hits), customers=hits)
    ours, theirs = (np.concatenate([pair[side] for pair in lost]) for side in (0, 1))
    rng = np.random.default_rng(0)
    draws = [rng.choice(ours, len(ours)).sum() / rng.choice(theirs, len(theirs)).sum() for _ in range(RESAMPLES)]
    ends = tuple(np.quantile(draws, (0.025, 0.975)))
    say("flagged_lost_spend", ours.sum() / theirs.sum(), ends, customers=len(ours))


def flagged(days: PurchaseDays, table: pl.DataFrame, day: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lost spend of those who drift away by their own rhythm, and of as many who have just passed one number of days.

    The number of days is that at which as many customers are between it and twice it as drift away by their own rhythm.
    """
    drifting = table.filter(pl.col(SEGMENT).cast(pl.String) == DRIFTING)
    again = table.filter(pl.col(PURCHASE_DAYS) > 1)
    counts = {limit: again.filter(pl.col(RECENCY).is_between(limit, 2 * limit, closed="left")).height for limit in range(7, 181)}
    limit = min(counts, key=lambda one: (abs(counts[one] - drifting.height), one))
    others = again.filter(pl.col(RECENCY).is_between(limit, 2 * limit, closed="left"))
    ends = np.zeros(days.n_users, dtype=np.int64)
    ends[table[USER_ROW].to_numpy()] = day - table[RECENCY].to_numpy()
    before = spent(days, ends - MONTH, MONTH)
    after = spent(days, np.full(days.n_users, day), MONTH)
    return tuple((before - after)[part[USER_ROW].to_numpy()] for part in (drifting, others))  # type: ignore[return-value]


def simulated(rng: np.random.Generator, gap: float, leave: float) -> PurchaseDays:
    """Return the purchase days of a shop; a share of its customers never comes back after the day `LEAVE`."""
    user, day = [], []
    for number in range(CUSTOMERS):
        own = gap * rng.gamma(4, 1 / 4)
        shape = rng.uniform(1, 4)
        begin = rng.uniform(-gap, DAYS / 2) if rng.random() < 0.5 else rng.uniform(-gap, 0)
        moments = begin + np.cumsum(rng.gamma(shape, own / shape, int(3 * DAYS / own) + 5))
        end = LEAVE if rng.random() < leave else DAYS
        bought = np.unique(moments[(moments >= 0) & (moments < end)].astype(np.int64))
        user.append(np.full(len(bought), number))
        day.append(bought)
    users, days = np.concatenate(user), np.concatenate(day)
    return PurchaseDays(users, days, days * DAY, days * DAY, np.ones(len(days)), np.ones(len(days)), CUSTOMERS)


def judge_alerts(shops: int) -> None:
    """Print false alarms of stable shops, and the share of departures that are found."""
    config = WatchConfig(margin=0.0)
    for name, gap in (("weekly", 7.0), ("rare", 40.0)):
        for leave in (0.0, 0.05, 0.1, 0.2):
            rng, alarms, years, found, waits = np.random.default_rng(7), 0, 0.0, 0, []
            for _ in range(shops):
                rhythms = Rhythms.of(simulated(rng, gap, leave))
                rules = SegmentRules.of(rhythms, rhythms.on(DAYS - 1))
                counts = departures(rhythms, rules, DAYS - 1)
                raised = [(alert.raised - EPOCH).days for alert in find_alerts(counts, EPOCH + timedelta(DAYS - 1), config)]
                if not leave:
                    alarms += len(raised)
                    years += max(0, counts["day"].n_unique()) / 365
                    continue
                hit = [day - LEAVE for day in raised if 0 < day - LEAVE <= FOUND_DAYS]
                found += bool(hit)
                waits += hit[:1]
            if not leave:
                say(f"alerts_{name}_false_a_year", alarms / years, a_year(alarms, years), shops=shops, alarms=alarms)
            else:
                days = round(float(np.mean(waits)), 1) if waits else None
                say(f"alerts_{name}_found_{leave:.0%}_leave", found / shops, exact(found, shops), shops=shops, days=days)


def judge_past(log: Interactions) -> None:
    """Print the alerts that a watch from the log's first day on would have raised, by the rules of its last day."""
    rhythms, last = Rhythms.of(PurchaseDays.of(log)), (end_of(log) - 1) // DAY
    counts = departures(rhythms, SegmentRules.of(rhythms, rhythms.on(last)), last - 1)
    alarms = len(find_alerts(counts, EPOCH + timedelta(last - 1), WatchConfig(margin=0.0)))
    years = counts["day"].n_unique() / 365
    if years:
        say("alerts_of_the_shop_a_year", alarms / years, a_year(alarms, years), alarms=alarms, days=round(365 * years))


def judge_costs(log: Interactions) -> None:
    """Print seconds and bytes of the shop."""
    start = time.perf_counter()
    models = fit_customer_models(log, end_of(log))
    fitted = time.perf_counter()
    tables = CustomerTables.of(log, models)
    files = tables.to_files()
    built = time.perf_counter()
    rhythms = Rhythms.of(tables.days)
    rules = SegmentRules.of(rhythms, rhythms.on(tables.last_day))
    rules.assign(rhythms.on(tables.last_day))
    assigned = time.perf_counter()
    find_alerts(departures(rhythms, rules, tables.last_day - 1), EPOCH + timedelta(tables.last_day - 1), WatchConfig(margin=0.0))
    watched = time.perf_counter()
    steps = {"fit": fitted - start, "predict": built - fitted, "segments": assigned - built, "watch": watched - assigned}
    for name, seconds in steps.items():
        say(f"seconds_{name}", seconds, (seconds, seconds), events=len(log), customers=log.n_users)
    size = sum(map(len, files.values()))
    say("bytes_of_the_tables", size, (size, size), purchase_days=len(tables.days))


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description="Segments of customers and alerts on those who drift away")
    parser.add_argument("--workspace", type=Path, help="an ingested shop; without it, only the simulated shops")
    parser.add_argument("--shops", type=int, default=SHOPS, help="simulated shops of each kind")
    parser.add_argument("--only", choices=("segments", "alerts", "costs"), help="one part alone")
    asked = parser.parse_args()
    log = None if asked.workspace is None else Workspace(asked.workspace).load(Settings().events)[1]
    if log is not None and asked.only in (None, "segments"):
        judge_segments(log)
    if log is not None and asked.only in (None, "alerts"):
        judge_past(log)
    if asked.only in (None, "alerts"):
        judge_alerts(asked.shops)
    if log is not None and asked.only in (None, "costs"):
        judge_costs(log)


if __name__ == "__main__":
    main()
