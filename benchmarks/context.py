"""What hour, weekday and place of a visit earn: `python -m benchmarks.context --workspace DIR [--users 2469]`.

The workspace holds Complete Journey, with a bundle whose model was trained until 28 days before the log's end. Each visit of those days (a
customer and a moment) gets ten items: the candidates ranked at the start of its day, as they are, and with the context's adjustment of
their log odds. NDCG@10 is over the items of the visit that had sold before its day. Beside the ranker stands what is popular, as an
unknown visitor gets it.

An adjustment is weight x log((n + a x prior) / (expected + a)): the purchases of the item, or of its category, in this context against
those that its sales would give it there by chance. The prior of an item is 1, or the lift of its category. `relative`: less the mean of
that over the customer's own past contexts. Level, shrinkage a, weight and `relative` are those with the best NDCG@10 in the 28 days
before the test window, by lifts of what lies before them, and weight 0 is one of the choices. Test lifts are of all before the test.
An unknown visitor's own purchases are in no lift: customers fall into five folds, and lifts are those of the other four.

One JSON line a row: NDCG@10 with the adjustment over that without, and their difference, with paired bootstrap intervals over customers.
`permuted` are the same lists with the contexts of the test's visits exchanged by chance, a row for each of three seeds;
`folds` are other draws of the folds.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.context_visits import CONTEXTS, Lines, Mornings, Visits
from eval.metrics.intervals import Bootstrap
from eval.metrics.lists import ndcg
from features.data.interactions import DAY
from features.storage.sorted_unique import sorted_unique
from recsys.environment import prepare_environment
from recsys.recommend.open import open_recommender
from recsys.workspace.workspace import Workspace

K, WINDOW = 10, 28
LEVELS = ("item", "category", "item within category")
SHRINKAGES = (10.0, 30.0, 100.0, 300.0)
WEIGHTS = (0.25, 0.5, 1.0, 1.5)
FOLDS = 5
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Setting:
    """How one context adjusts log odds."""

    context: str
    level: str
    shrinkage: float
    relative: bool
    weight: float


@dataclass(frozen=True)
class Window:
    """The visits of one window, and the lines before it.

    Attributes
    ----------
    folds : where visitors count as unknown, a fold of each user row, int (n_users,): lifts are those of the other folds' customers
    """

    visits: Visits
    past: Lines
    categories: np.ndarray
    folds: np.ndarray | None = None

    def as_unknown(self, seed: int) -> Window:
        """Return the window with visitors whose own purchases no lift has seen."""
        return replace(self, folds=np.random.default_rng(seed).integers(FOLDS, size=self.past.log.n_users))

    def adjustment(self, one: Setting, code: np.ndarray) -> np.ndarray:
        """Return what is added at weight 1 to the log odds of each candidate of each visit with context `code`, float32 (n, DEPTH)."""
        visits, added = self.visits, np.zeros(self.visits.rows.shape, dtype=np.float32)
        fold = np.zeros(self.past.log.n_users, dtype=np.int64) if self.folds is None else self.folds
        for number in np.unique(fold):
            some = np.flatnonzero(fold[visits.user] == number)
            lifts = self._lifts(one, self.past if self.folds is None else self.past.where(fold[self.past.log.user] != number))
            added[some] = lifts[code[some, None], visits.place_of[some]]
            if one.relative:
                added -= self._usual(lifts, one.context)
        return added

    def _usual(self, lifts: np.ndarray, context: str) -> np.ndarray:
        """Return the mean lift of each candidate over the contexts in which the customer has bought, float32 (n, DEPTH)."""
        visits, past = self.visits, self.past
        users, of_visit = np.unique(visits.user, return_inverse=True)
        mine = np.isin(past.log.user, users)
        row = np.searchsorted(users, past.log.user[mine])
        counts = sp.coo_array((np.ones(len(row)), (row, past.codes[context][mine])), shape=(len(users), len(lifts))).tocsr()
        shares = sp.diags_array(1 / np.maximum(counts.sum(axis=1), 1)) @ counts
        usual = np.empty(visits.rows.shape, dtype=np.float32)
        for begin in range(0, len(users), 256):
            some = np.flatnonzero((of_visit >= begin) & (of_visit < begin + 256))
            usual[some] = (shares[begin : begin + 256] @ lifts)[of_visit[some, None] - begin, visits.place_of[some]]
        return usual

    def _lifts(self, one: Setting, past: Lines) -> np.ndarray:
        """Return the log lift of each candidate in each context, float32 (contexts, items of the visits)."""
        items, size, code, item = self.visits.items, past.sizes[one.context], past.codes[one.context], past.log.item
        prior = np.ones((size, len(items)))
        if one.level != "item":
            group = np.where(self.categories < 0, self.categories.max() + 1, self.categories)
            prior = _lift(group[item], code, prior, group[items], one.shrinkage)
        if one.level != "category":
            prior = _lift(item, code, prior, items, one.shrinkage)
        return np.log(prior).astype(np.float32)

    def lists(self, added: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the ten best candidates, int (n, 10)."""
        scores = self.visits.odds + added
        first = np.sort(np.argpartition(-scores, K, axis=1)[:, :K], axis=1)  # sorted, so that the ranker's order settles ties
        order = np.argsort(-np.take_along_axis(scores, first, axis=1), axis=1, kind="stable")
        return np.take_along_axis(self.visits.rows, np.take_along_axis(first, order, axis=1), axis=1)

    def ndcg(self, lists: np.ndarray) -> np.ndarray:
        """Return NDCG@10 of each visit."""
        return ndcg(lists, self.visits.bought, K)

    def adjusted(self, settings: list[Setting], codes: dict[str, np.ndarray]) -> np.ndarray:
        """Return the sum of the adjustments of some settings, in contexts `codes`."""
        total = np.zeros(self.visits.rows.shape, dtype=np.float32)
        for one in settings:
            total += one.weight * self.adjustment(one, codes[one.context])
        return total


def _lift(item: np.ndarray, code: np.ndarray, prior: np.ndarray, wanted: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return how much oftener than by chance some items were bought in each context, shrunk to `prior`, float64 (contexts, wanted)."""
    size = len(prior)
    counts = sp.coo_array((np.ones(len(item)), (code, item)), shape=(size, int(max(item.max(), wanted.max())) + 1)).tocsc()
    sold, share = counts.sum(axis=0)[wanted], np.bincount(code, minlength=size) / len(code)
    return (counts[:, wanted].toarray() + shrinkage * prior) / (share[:, None] * sold + shrinkage)


def chosen(window: Window, context: str) -> tuple[Setting | None, float]:
    """Return the best setting of a context, None where none is above no adjustment, and by how much its NDCG@10 is above that."""
    plain = float(np.nanmean(window.ndcg(window.lists())))
    best: tuple[Setting | None, float] = (None, 0.0)
    for level, shrinkage, relative in product(LEVELS, SHRINKAGES, (False, True) if window.folds is None else (False,)):
        one = Setting(context, level, shrinkage, relative, 1.0)
        added = window.adjustment(one, window.visits.codes[context])
        for weight in WEIGHTS:
            gain = float(np.nanmean(window.ndcg(window.lists(weight * added)))) - plain
            if gain > best[1]:
                best = replace(one, weight=weight), gain
    return best


def say(name: str, window: Window, added: np.ndarray, **more: object) -> None:
    """Print a row: the lists with an adjustment against those without."""
    before, after = window.lists(), window.lists(added)
    a, b = window.ndcg(after), window.ndcg(before)
    customers = np.unique(window.visits.user, return_inverse=True)[1]
    bootstrap = Bootstrap(1_000, 0)
    ratio, difference = bootstrap.paired_ratio(a, b, customers), bootstrap.paired_difference(a, b, customers)
    figures = {"ratio": ratio.value, "low": ratio.low, "high": ratio.high, "target": None, "kept": None, "ndcg": float(np.nanmean(b))}
    figures |= {"difference": difference.value, "difference_low": difference.low, "difference_high": difference.high}
    figures |= {"lists_changed": float((after != before).any(axis=1).mean())}
    row = {"name": name} | {key: value if value is None else round(value, 5) for key, value in figures.items()}
    print(json.dumps(row | {"visits": int(np.isfinite(a).sum()), "customers": int(customers.max()) + 1} | more), flush=True)


def judge(base: str, tuning: Window, test: Window) -> None:
    """Choose the settings of one base and print its rows."""
    unknown = base == "popular"
    if unknown:
        tuning, test = tuning.as_unknown(SEEDS[0]), test.as_unknown(SEEDS[0])
    best: list[Setting] = []
    for context in CONTEXTS:
        setting, gain = chosen(tuning, context)
        if setting is None:
            print(json.dumps({"name": f"{base}, {context}", "setting": None}), flush=True)
            continue
        best.append(setting)
        code = test.visits.codes[context]
        say(f"{base}, {context}", test, test.adjusted([setting], {context: code}), validation=round(gain, 5), setting=asdict(setting))
        for seed in SEEDS:
            exchanged = {context: np.random.default_rng(seed).permutation(code)}
            say(f"{base}, {context}, permuted {seed}", test, test.adjusted([setting], exchanged))
        for seed in SEEDS[1:] if unknown else ():
            say(f"{base}, {context}, folds {seed}", test, test.as_unknown(seed).adjusted([setting], {context: code}))
        if context == "place":
            elsewhere(base, test, setting)
    together = [one for one in best if one.context != "hour"]  # the part of the day stands for it
    if len(together) > 1:
        say(f"{base}, all but hour", test, test.adjusted(together, test.visits.codes))


def elsewhere(base: str, test: Window, setting: Setting) -> None:
    """Print the rows of the visits at the customer's usual place, and of those elsewhere."""
    away = test.visits.codes["place"] != usual_places(test)
    for name, places in (("at the usual place", ~away), ("elsewhere", away)):
        some = replace(test, visits=_some(test.visits, np.flatnonzero(places)))
        say(f"{base}, place, visits {name}", some, some.adjusted([setting], some.visits.codes))


def usual_places(window: Window) -> np.ndarray:
    """Return where the customer of each visit had bought the most lines, int (n,); -1 where nowhere."""
    past, size = window.past, window.past.sizes["place"]
    keys, counts = np.unique(past.log.user.astype(np.int64) * size + past.codes["place"], return_counts=True)
    usual = np.full(past.log.n_users, -1)
    order = np.argsort(counts, kind="stable")  # the most come last and stay
    usual[keys[order] // size] = keys[order] % size
    return usual[window.visits.user]


def _some(visits: Visits, places: np.ndarray) -> Visits:
    to = np.full(len(visits.user), -1)
    to[places] = np.arange(len(places))
    kept = visits.bought.where(to[visits.bought.user] >= 0)
    bought = replace(kept, user=to[kept.user], n_users=len(places))
    columns = {name: getattr(visits, name)[places] for name in ("user", "time", "rows", "odds")}
    return Visits(codes={name: code[places] for name, code in visits.codes.items()}, bought=bought, **columns)


def windows(root: Path, users: int | None) -> dict[str, tuple[Window, Window]]:
    """Return the tuning and the test window of each base."""
    workspace = Workspace(root)
    catalog, log = workspace.load()
    lines, mornings = Lines.of(log), Mornings(open_recommender(workspace), catalog, log)
    everybody = sorted_unique(log.user)
    if users is not None and users < len(everybody):
        everybody = np.sort(np.random.default_rng(0).choice(everybody, users, replace=False))
    categories = catalog.codes("category")
    out = []
    for back in (2, 1):
        start = log.end - back * WINDOW * DAY
        found = mornings.visits(lines, start, WINDOW, everybody)
        out.append({base: Window(visits, lines.between(None, start), categories) for base, visits in found.items()})
    return {base: (out[0][base], out[1][base]) for base in out[0]}


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--users", type=int, help="this many customers, drawn by chance (default: all)")
    options = parser.parse_args()
    prepare_environment()
    for base, (tuning, test) in windows(options.workspace, options.users).items():
        judge(base, tuning, test)


if __name__ == "__main__":
    main()
