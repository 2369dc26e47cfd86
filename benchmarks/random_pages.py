"""Faults of random pages under random rules of merchandising: none may be found.

    python -m benchmarks.random_pages [--workspace DIR] [--pages N]

Each page has a random kind, visitor, basket, item, category, price limit and rows, a share of exploration and of diversity. Every
`PAGES_OF_RULES` pages have other rules: pins, limits, boosts and buries; sets that contradict each other are refused and drawn again. A
page is at fault where a product stands on it twice, also in what follows when rows are turned over; where it shows what may not be shown;
where a limit is exceeded; where a pinned item that may be shown does not stand at its position, or before it at the end of a shorter row;
or where a propensity is not above 0 and up to 1.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import ConfigError
from ranking.merchandising.conflicts import check
from ranking.merchandising.place import PAGE_KINDS, ROWS
from ranking.merchandising.rules import MerchandisingRules
from recsys.apps.storefront.request import PageRequest, RowRequest
from recsys.apps.storefront.visit import Visit
from recsys.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.apps.storefront.answers import PageAnswer
    from recsys.apps.storefront.pipeline import Storefront
    from recsys.recommend.pipeline import Recommender

PAGES_OF_RULES = 50


class Draws:
    """Draws requests and rules over one shop."""

    def __init__(self, recommender: Recommender, seed: int) -> None:
        self.recommender, self.rng = recommender, np.random.default_rng(seed)
        catalog = recommender.snapshot.catalog
        popular = np.argsort(-recommender.buyers.recent, kind="stable")[:3_000]
        self.items = catalog.ids[popular].tolist()
        self.users = recommender.snapshot.log.user_ids.tolist()
        self.categories = sorted({path for path in catalog.frame["category"][popular].to_list() if path})
        self.brands = sorted({brand for brand in catalog.frame["brand"][popular].to_list() if brand})

    def some(self, values: list[str], most: int) -> tuple[str, ...]:
        """Draw up to `most` different values."""
        return tuple(self.rng.choice(values, int(self.rng.integers(most + 1)), replace=False).tolist())

    def one(self, values: list[str]) -> str:
        """Draw one value."""
        return values[int(self.rng.integers(len(values)))]

    def request(self) -> PageRequest:
        """Draw a request for a page."""
        rng = self.rng
        rows = tuple(RowRequest(ROWS[i], int(rng.integers(1, 13))) for i in rng.permutation(len(ROWS))[: int(rng.integers(1, 7))])
        return PageRequest(
            PAGE_KINDS[int(rng.integers(len(PAGE_KINDS)))],
            self.one(self.users) if rng.random() < 0.7 else None,
            self.some(self.items, 3),
            self.one(self.items),
            self.one(self.categories),
            self.some(self.items, 5),
            rows,
            in_stock=bool(rng.random() < 0.7),
            max_price=float(rng.uniform(1, 10)) if rng.random() < 0.2 else None,
        )

    def rules(self) -> MerchandisingRules:
        """Draw rules that do not contradict each other."""
        while True:
            rules = MerchandisingRules.model_validate(self._rules())
            try:
                check(self.recommender.with_rules(rules).merchandising, self.recommender.blocklist)
            except ConfigError:
                continue
            return rules

    def _rules(self) -> dict[str, list[dict[str, Any]]]:
        rng = self.rng
        where = lambda: {"rows": [ROWS[int(rng.integers(len(ROWS)))]]}  # noqa: E731
        pins = [
            {"name": f"pin {i}", "item": self.one(self.items), "position": int(rng.integers(1, 9))} | ({"where": where()} if i else {})
            for i in range(4)
        ]
        kinds = ["brand", "category"]
        limits = [
            {"name": f"limit {i}", "by": kinds[i % 2], "most": int(rng.integers(1, 4)), "first": int(rng.integers(4, 13))}
            | ({"where": where()} if rng.random() < 0.5 else {})
            for i in range(int(rng.integers(3)))
        ]
        boosts = [{"name": "boost", "factor": float(rng.uniform(1.1, 5)), "categories": [self.one(self.categories)]}]
        buries = [{"name": "bury", "items": list(self.some(self.items, 20)) or self.items[:1]}]
        return {"pin": pins, "limit": limits, "boost": boosts, "bury": buries}


def faults(storefront: Storefront, request: PageRequest, answer: PageAnswer) -> Iterator[str]:
    """Yield what is wrong with a page."""
    recommender, catalog = storefront.recommender, storefront.recommender.snapshot.catalog
    mask = Visit.of(recommender, request, 1).mask
    every = [item.item_id for row in answer.rows for item in row.items] + [item for row in answer.rows for item in row.rest]
    rows = catalog.rows(every)
    products = rows if catalog.groups is None else catalog.groups[rows]
    if len(set(products.tolist())) < len(products):
        yield "a product stands on the page twice"
    if not mask[rows].all():
        yield "something is shown that may not be shown"
    merchandising = recommender.merchandising
    for row in answer.rows:
        shown = catalog.rows([item.item_id for item in row.items])
        if [item.position for item in row.items] != list(range(1, len(row.items) + 1)):
            yield "positions have gaps"
        if not all(0 < item.propensity <= 1 for item in row.items):
            yield "a propensity is not above 0 and up to 1"
        for limit in recommender.rules.limit:
            codes = merchandising.codes[limit.name][shown[: limit.first]]
            if (not limit.where.rows or row.name in limit.where.rows) and max(
                Counter(codes[codes >= 0].tolist()).values(), default=0
            ) > limit.most:
                yield "a limit is exceeded"
    yield from _lost_pins(storefront, request, answer, mask)


def _lost_pins(storefront: Storefront, request: PageRequest, answer: PageAnswer, mask: np.ndarray) -> Iterator[str]:
    """Yield a fault for each pin that the first row which could show it does not show at its position."""
    asked = {row.name: row.k or storefront.config.k for row in request.rows}
    recommender, seen = storefront.recommender, set[int]()
    for row in answer.rows:
        for pin in recommender.rules.pin:
            item = recommender.merchandising.pinned[pin.name]
            here = (not pin.where.rows or row.name in pin.where.rows) and pin.position <= asked[row.name]
            if not here or item < 0 or not mask[item] or item in seen:
                continue
            seen.add(item)
            if [one.position for one in row.items if one.rule == pin.name] != [min(pin.position, len(row.items))]:
                yield "a pinned item does not stand at its position"


def main() -> None:
    """Print one row a kind of fault, and one for all pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--pages", type=int, default=10_000)
    given = parser.parse_args()
    shop = Shop.open(given.workspace)
    storefront = shop.storefront
    draws, found, failed, shown = Draws(storefront.recommender, 0), Counter[str](), 0, 0
    changed: dict[str, float] = {}
    for page in range(given.pages):
        if page % PAGES_OF_RULES == 0:
            rules = draws.rules()
            # In place: what else is built over the recommender stays.
            merchandising = storefront.recommender.with_rules(rules).merchandising
            vars(storefront.recommender).update(rules=rules, _merchandising=merchandising)
            changed = {"exploration": float(draws.rng.choice([0, 0.3])), "diversity": float(draws.rng.choice([0, 0.3]))}
        request = draws.request()
        config = storefront.config.model_copy(update=changed)
        answer = storefront.answer(request, config=config)
        shown += sum(len(row.items) for row in answer.rows)
        wrong = set(faults(storefront, request, answer))
        found.update(wrong)
        failed += bool(wrong)
    for fault, count in found.items():
        print(json.dumps({"name": fault, "runs": given.pages, "failures": count}), flush=True)
    print(json.dumps({"name": "random pages", "runs": given.pages, "failures": failed, "items": shown}), flush=True)


if __name__ == "__main__":
    main()
