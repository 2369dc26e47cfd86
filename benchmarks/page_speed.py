"""Time of a page of six rows, compared with one list of the same recommender.

    python -m benchmarks.page_speed [--workspace DIR] [--users N]

The bundle in use answers both for each user in turn, in one thread. The list is that of `recsys recommend`; the page has it as its first
row. Processor time stands beside the time of the clock, which other work on the machine prolongs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.paired import say
from recsys.apps.storefront.request import PageRequest, RowRequest
from recsys.recommend.request import RecommendOptions
from recsys.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.settings.apps.storefront import RowName

ROWS: tuple[RowName, ...] = ("for_you", "buy_again", "because_you_bought", "trending", "new_arrivals", "popular")
TARGET = 1.5
WARM = 5  # users whose answers are not counted


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of a call: of the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    """Print one row: the median ratio of a page to a list over the users."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--users", type=int, default=100)
    given = parser.parse_args()
    shop = Shop.open(given.workspace)
    ids = shop.recommender.snapshot.log.user_ids
    users = ids[np.unique(np.linspace(0, len(ids) - 1, given.users + WARM).astype(np.int64))].tolist()
    rows = tuple(RowRequest(name) for name in ROWS)
    times, filled = [], []
    for user in users:
        page = shop.storefront.answer(PageRequest("home", user, rows=rows))
        filled.append(len(page.rows))
        one = seconds(lambda user=user: list(shop.recommender.answer(RecommendOptions(in_stock=True), [user])))
        six = seconds(lambda user=user: shop.storefront.answer(PageRequest("home", user, rows=rows)))
        times.append([*one, *six])
    clock, processor, page_clock, page_processor = np.array(times[WARM:]).T
    say(
        "page of six rows",
        page_processor / processor,
        TARGET,
        None,
        p50_ratio=round(float(np.median(page_clock) / np.median(clock)), 3),
        cpu_p50_ratio=round(float(np.median(page_processor) / np.median(processor)), 3),
        ms=round(1000 * float(np.median(page_clock)), 1),
        cpu_ms=round(1000 * float(np.median(page_processor)), 1),
        mean_rows=round(float(np.mean(filled)), 2),
    )


if __name__ == "__main__":
    main()
