"""Made logs whose times mean different things: (user_id, timestamp), by the kind that each must be taken for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

DAY = 86_400
START = 20_458 * DAY  # 2026-01-05, a Monday
Pairs = Iterable[tuple[int, float]]  # user, seconds


def frame_of(pairs: Pairs) -> pl.DataFrame:
    """The canonical columns of a log of these users and seconds."""
    users, seconds = zip(*pairs, strict=True)
    return pl.DataFrame({"user_id": [f"u{user:05}" for user in users], "seconds": np.array(seconds, dtype=np.int64)}).select(
        "user_id", timestamp=pl.from_epoch("seconds").cast(pl.Datetime("us"))
    )


def daily(rng: np.random.Generator, share: float, *, days: int = 145, week: int = 5, users: int = 150, closed: float = 0.33) -> Pairs:
    """Customers who order on a share of the days that are open; a part of them closes for good; the export begins on day 0."""
    for user in range(users):
        until = rng.integers(days // 4, days // 2) if rng.random() < closed else days
        begin = 0 if rng.random() < 0.9 else rng.integers(0, days // 2)
        yield from ((user, START + day * DAY) for day in range(begin, until) if day % 7 < week and rng.random() < share)


def weekly(rng: np.random.Generator, share: float, every: int = 7, weeks: int = 40, users: int = 150) -> Pairs:
    """Wholesalers who order each Monday, or every four weeks."""
    for user in range(users):
        until = rng.integers(10, 20) if user % 3 == 0 else weeks
        yield from ((user, START + week * every * DAY) for week in range(until) if rng.random() < share)


def subscription(rng: np.random.Generator, every: int, users: int = 300) -> Pairs:
    """Boxes in equal distances from a start that differs by user."""
    for user in range(users):
        begin = rng.integers(0, 300)
        yield from ((user, START + day * DAY) for day in range(begin, begin + every * int(rng.integers(2, 12)), every) if day < 400)


def christmas(rng: np.random.Generator, years: int, times: bool = False, back: float = 0.4, users: int = 2000) -> Pairs:
    """One visit a year, in the six weeks that the shop is open."""
    for user in range(users):
        year = int(rng.integers(0, years))
        while year < years:
            yield user, START + (year * 365 + int(rng.integers(0, 42))) * DAY + (int(rng.integers(0, DAY)) if times else 0)
            year += 1 if rng.random() < back else years


def on_one_day_a_year(users: int = 150, years: int = 4) -> Pairs:
    """Everybody buys on the same day of each year."""
    return ((user, START + year * 365 * DAY) for user in range(users) for year in range(years - (user % 7 == 0)))


def at_random(rng: np.random.Generator, days: int, most: int, users: int = 400, unit: int = 1) -> Pairs:
    """Orders at any time, each user on some days of the export."""
    seconds = ((user, int(rng.integers(0, days * DAY))) for user in range(users) for _ in range(int(rng.integers(1, most + 1))))
    return ((user, START + second // unit * unit) for user, second in seconds)


def rarely(rng: np.random.Generator, back: float = 0.1, users: int = 4000, years: int = 5) -> Pairs:
    """Furniture: one customer in ten buys a second time."""
    for user in range(users):
        for _ in range(1 + (rng.random() < back)):
            yield user, START + int(rng.integers(0, years * 365 * DAY))


def weddings(rng: np.random.Generator, users: int = 2000, years: int = 5) -> Pairs:
    """Customers who buy for six weeks, and then never more."""
    for user in range(users):
        begin = START + int(rng.integers(0, years * 365 * DAY))
        yield from ((user, begin + int(rng.integers(0, 42 * DAY))) for _ in range(int(rng.integers(2, 8))))


def migrated(rng: np.random.Generator, users: int = 300) -> Pairs:
    """The history of most users was booked at one moment, when the shop's software changed; all later times are real."""
    for user in range(users):
        if rng.random() < 0.7:
            yield user, START
        yield from ((user, START + int(rng.integers(0, 300 * DAY))) for _ in range(int(rng.integers(1, 12))))


def berlin(rng: np.random.Generator) -> Pairs:
    """Dates that were midnight in Berlin, in UTC: 23:00 in winter, 22:00 in summer."""
    return ((user, second - (7200 if 84 <= (second - START) // DAY < 300 else 3600)) for user, second in daily(rng, 0.6))


def lengths(rng: np.random.Generator, users: int) -> list[int]:
    """Lengths of histories as in benchmark sets: at least five, some long."""
    return (5 + rng.geometric(0.25, users)).tolist()


def numbered(rng: np.random.Generator, step: int, users: int = 300, kept: float = 1.0, start: int = START) -> Pairs:
    """The n-th event of a user at start + n steps; some rows may have been dropped afterwards."""
    steps = ((user, n) for user, length in enumerate(lengths(rng, users)) for n in range(length))
    return ((user, start + n * step) for user, n in steps if rng.random() <= kept)


def since_first_order(rng: np.random.Generator, unit: int, users: int = 300) -> Pairs:
    """Times that count from each user's first order."""
    for user, length in enumerate(lengths(rng, users)):
        gaps = rng.integers(1, 31, length) * DAY + rng.integers(0, DAY, length)
        yield from ((user, START + int(second) // unit * unit) for second in np.cumsum([0, *gaps]))


def one_after_another(rng: np.random.Generator, users: int = 300) -> Pairs:
    """The line number as time, users sorted."""
    return ((user, START + 60 * n) for n, user in enumerate(np.repeat(np.arange(users), lengths(rng, users)).tolist()))


def line_numbers(rng: np.random.Generator, users: int = 300) -> Pairs:
    """The line number as time, users mixed."""
    return ((user, START + n) for n, user in enumerate(rng.permutation(np.repeat(np.arange(users), lengths(rng, users))).tolist()))


def sessions(rng: np.random.Generator, days: int = 200, unit: int = 1, users: int = 2000, pause: int = 90) -> Pairs:
    """Each user id is a visit of some minutes."""
    for user in range(users):
        moment = START + int(rng.integers(0, days * DAY))
        for _ in range(int(rng.integers(1, 8))):
            yield user, moment // unit * unit
            moment += 1 + int(rng.exponential(pause))


def order_numbers(rng: np.random.Generator, unit: int = 1, users: int = 2000) -> Pairs:
    """The order number as user: one time each."""
    return ((user, (START + int(rng.integers(0, 300 * DAY))) // unit * unit) for user in range(users))


def hotel(rng: np.random.Generator, users: int = 2000) -> Pairs:
    """Guests who buy breakfast on each day of their stay, and never come back."""
    for user in range(users):
        begin = int(rng.integers(0, 1500))
        yield from ((user, START + day * DAY) for day in range(begin, begin + int(rng.integers(1, 7))))


Made = Callable[[np.random.Generator], Pairs]
SHOPS: dict[str, dict[str, Made]] = {
    "dates": {
        "restaurants that order on most working days": lambda rng: daily(rng, 0.65),
        "restaurants that order on nearly all working days": lambda rng: daily(rng, 0.97),
        "cafés that order on nearly all days of the week": lambda rng: daily(rng, 0.95, week=7),
        "cafés, most of them closed at the end": lambda rng: daily(rng, 0.7, week=7, closed=0.7),
        "a week of a daily shop": lambda rng: daily(rng, 0.9, days=7, week=7, closed=0),
        "five days without one exception": lambda rng: daily(rng, 1, days=5, closed=0),
        "newspapers each day": lambda rng: daily(rng, 1, week=7, closed=0.1),
        "wholesalers on Mondays": lambda rng: weekly(rng, 0.97),
        "wholesalers on Mondays without one exception": lambda rng: weekly(rng, 1),
        "wholesalers every four weeks": lambda rng: weekly(rng, 0.9, every=28, weeks=24),
        "weekly boxes": lambda rng: subscription(rng, 7),
        "four-weekly boxes": lambda rng: subscription(rng, 28),
        "a Christmas shop in four years": lambda rng: christmas(rng, 4),
        "a Christmas shop in eight years": lambda rng: christmas(rng, 8, back=0.2),
        "one season of a Christmas shop": lambda rng: christmas(rng, 1),
        "one day of each year": lambda rng: on_one_day_a_year(),
        "ten days of orders": lambda rng: at_random(rng, 10, 4, unit=DAY),
        "midnights in Berlin": berlin,
    },
    "times": {
        "a grocer": lambda rng: at_random(rng, 300, 20),
        "three days of orders": lambda rng: at_random(rng, 3, 4),
        "six hours of orders": lambda rng: at_random(rng, 1, 3),
        "a Christmas shop, to the second": lambda rng: christmas(rng, 4, times=True),
        "one season of a Christmas shop, to the second": lambda rng: christmas(rng, 1, times=True),
        "furniture": rarely,
        "weddings": weddings,
        "histories booked at one moment": migrated,
    },
    "steps": {
        "a step a day": lambda rng: numbered(rng, DAY),
        "a step an hour": lambda rng: numbered(rng, 3600),
        "a step a second": lambda rng: numbered(rng, 1),
        "a step a second since 2001": lambda rng: numbered(rng, 1, start=10**9),
        "a step a day, a tenth of the rows lost": lambda rng: numbered(rng, DAY, kept=0.9),
        "a step a second, a quarter of the rows lost": lambda rng: numbered(rng, 1, kept=0.75),
        "the last twenty steps of everybody": lambda rng: ((user, START + n * DAY) for user in range(150) for n in range(20)),
        "days since the first order": lambda rng: since_first_order(rng, DAY),
        "seconds since the first order": lambda rng: since_first_order(rng, 1),
        "line numbers, users sorted": one_after_another,
        "line numbers, users mixed": line_numbers,
    },
    "visits": {
        "sessions": sessions,
        "a week of sessions": lambda rng: sessions(rng, days=7),
        "sessions to the minute": lambda rng: sessions(rng, unit=60),
        "order numbers as users": order_numbers,
        "order numbers as users, by date": lambda rng: order_numbers(rng, unit=DAY),
        "raters in one sitting": lambda rng: sessions(rng, days=900, users=1500, pause=600),
        "hotel guests": hotel,
    },
}
CASES = [(kind, name, made) for kind, shops in SHOPS.items() for name, made in shops.items()]
