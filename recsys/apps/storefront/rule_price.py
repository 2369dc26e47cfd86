"""What a merchandising rule costs or brings, before it goes live: lists with it and without it, judged on what users then bought.

Each rule is judged alone, as if it held at any time, in the personal list: the users' next purchases are known, whatever they were shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluationRunner
from features.errors import ConfigError
from features.storage.atomic import write_whole
from features.text.closest import did_you_mean
from ranking.blocklist import Blocklist
from ranking.filters import in_categories
from ranking.merchandising.arrange import arrange_lists
from ranking.merchandising.conflicts import check, notes
from ranking.merchandising.place import Place
from ranking.merchandising.rules import FILE, OBJECTIVE, MerchandisingRules
from recsys.apps.storefront.rule_check import PRICES
from recsys.offline.evaluate import progress, recommender_at_cut
from recsys.recommend.merchandise import with_wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.intervals import Bootstrap, MetricValue
    from eval.protocol.runner import Lists
    from features.data.histories import Histories
    from ranking.merchandising.facts import ActiveRules, Merchandising
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.settings import Settings
    from recsys.training.options import TrainOptions
    from recsys.workspace.workspace import Workspace
    from retrieval.candidates import Candidates

K = 10
ALL = "all rules"
NONE = "without rules"
NDCG, REVENUE, EXPECTED_REVENUE, EXPECTED_PROFIT = f"ndcg@{K}", f"revenue@{K}", f"expected_revenue@{K}", f"expected_profit@{K}"


@dataclass(frozen=True)
class RulePrice:
    """The effect of one rule, or of all.

    Attributes
    ----------
    kind : pin, boost, bury, limit, campaign or objective; "all".
    lists : share of the lists that it changes.
    places : share of their places that hold another item than without it.
    before : metrics of the lists without rules.
    change : metric with the rule minus metric without, over the same users.
    """

    name: str
    kind: str
    lists: float
    places: float
    before: Mapping[str, MetricValue]
    change: Mapping[str, MetricValue]

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        metrics = {name: {"before": self.before[name].as_json(), "change": one.as_json()} for name, one in self.change.items()}
        return {"rule": self.name, "kind": self.kind, "lists_changed": self.lists, "places_changed": self.places, "metrics": metrics}


@dataclass(frozen=True)
class RulePrices:
    """The report of `recsys rules price`. `cut`: ISO 8601, when the users' next purchases begin."""

    cut: str
    users: int
    rules: tuple[RulePrice, ...]
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> str:
        """Return strict JSON."""
        values = {"cut": self.cut, "users": self.users, "rules": [one.to_dict() for one in self.rules], "notes": list(self.notes)}
        return json.dumps(values, indent=2, allow_nan=False)


def rule_prices(workspace: Workspace, settings: Settings, name: str | None = None, options: TrainOptions | None = None) -> RulePrices:
    """Estimate what each rule of merchandising.toml changes, or one of them, by name.

    The model is that of `recsys evaluate`: trained on the log before its last weeks, once. The report on all rules is also written to
    reports/, where the page of rules reads it; that on one rule would leave the others out.

    Raises
    ------
    ConfigError
        There are no rules, none of the name, or some contradict each other.
    """
    rules = MerchandisingRules.read(workspace.merchandising)
    blocklist = Blocklist.read(workspace.rules)
    named = [*rules.names, *([] if rules.objective.plain else [OBJECTIVE])]
    if not named:
        raise ConfigError(f"{workspace.merchandising} has no rules: write one, see docs/merchandising.md")
    if name is not None and name not in named:
        raise ConfigError(f"{FILE} has no rule {name!r}{did_you_mean(name, named)}: its rules are {', '.join(named)}")
    recommender, split = recommender_at_cut(workspace, settings, options)
    merchandising = _merchandising(recommender, rules)
    check(merchandising, blocklist)
    pricer = Pricer(recommender, blocklist.allowed(recommender.snapshot.catalog), rules)
    with progress() as show:
        runner = EvaluationRunner(GroundTruth.of(split, settings.evaluate.max_users, settings.evaluate.seed), settings.evaluate, show)
        prices = pricer.prices(runner, named if name is None else [name])
    found = RulePrices(
        cut=datetime.fromtimestamp(split.cut, UTC).isoformat(),
        users=len(runner.ground_truth.users),
        rules=tuple(prices),
        notes=(*notes(merchandising, datetime.now(UTC)), *pricer.notes(named if name is None else [name])),
    )
    if name is None:
        write_whole(workspace.reports / PRICES, found.to_json())
    return found


def _merchandising(recommender: Recommender, rules: MerchandisingRules) -> Merchandising:
    return recommender.with_rules(rules).merchandising


@dataclass(frozen=True)
class Pricer:
    """Judges rules over one recommender.

    Attributes
    ----------
    allowed : what the blocklist lets through, bool (n_items,).
    """

    recommender: Recommender
    allowed: np.ndarray
    rules: MerchandisingRules

    def prices(self, runner: EvaluationRunner, names: list[str]) -> list[RulePrice]:
        """Return the effect of each rule alone, and of all that hold now in the personal list, if there are several."""
        kinds = {rule.name: kind for kind, rule in self.rules.named()} | {OBJECTIVE: OBJECTIVE}
        by_category: dict[tuple[str, ...], list[str]] = {}
        for name in names:
            by_category.setdefault(self._categories(name), []).append(name)
        found: dict[str, RulePrice] = {}
        for categories, some in by_category.items():
            sets = {name: self.rules.only(name).anywhere for name in some}
            active = {name: one for name, rules in sets.items() if (one := self._active(rules))}
            if not categories and len(names) > 1 and (everything := self._active(self.rules)):
                active[ALL] = everything
            lists = self._lists(runner, active, categories)
            for name in (*some, *([ALL] if ALL in active else [])):
                found[name] = self._price(runner, (name, kinds.get(name, "all")), lists, categories)
        return [found[name] for name in (*names, ALL) if name in found]

    def notes(self, names: list[str]) -> list[str]:
        """Say of which rules the price is that of the same rule in another list."""
        said = []
        for _, rule in self.rules.named():
            elsewhere = [row for row in rule.where.rows if row != "for_you"]
            if rule.name in names and (elsewhere or rule.where.queries):
                where = f"searches for {', '.join(rule.where.queries)}" if rule.where.queries else f"the rows {', '.join(elsewhere)}"
                said.append(f"note: {rule.name!r} holds in {where}: its price is that of the same rule in the personal list")
        return said

    def _categories(self, name: str) -> tuple[str, ...]:
        where = next((rule.where for _, rule in self.rules.named() if rule.name == name), self.rules.objective.where)
        return where.categories

    def _active(self, rules: MerchandisingRules) -> ActiveRules | None:
        """Return the rules that hold in the personal list now, with the limit of variants."""
        return self.recommender.with_rules(rules).rules_at(Place("recommend"), 1)

    def _lists(self, runner: EvaluationRunner, active: Mapping[str, ActiveRules], categories: tuple[str, ...]) -> dict[str, Lists]:
        """Return the lists of ten without rules, and with each set of rules; scores are the ranker's."""
        inside = self.allowed & in_categories(self.recommender.snapshot.catalog, categories) if categories else self.allowed

        def several(users: Histories, k: int, allowed: np.ndarray | None) -> dict[str, Candidates]:
            recommender, mask = self.recommender, inside if allowed is None else allowed & inside
            found = recommender.candidates(users, recommender.model.retrieval.candidates, mask)
            plain = recommender.ranked(found)
            out = {NONE: recommender.first_places(plain, k)}
            for name, rules in active.items():
                ranked = recommender.ranked(with_wanted(recommender, found, rules, mask)) if len(rules.wanted) else plain
                out[name] = arrange_lists(recommender.first_places(ranked, k, mask.shape[-1], ranked.rows.shape[1]), k, rules)[0]
            return out

        return runner.run_several(several, (NONE, *active), "all", K)

    def _price(self, runner: EvaluationRunner, rule: tuple[str, str], lists: Mapping[str, Lists], categories: tuple[str, ...]) -> RulePrice:
        before, after = lists[NONE], lists.get(rule[0], lists[NONE])
        other = before.rows_given != after.rows_given
        values, with_rule = (self._per_user(runner, one, categories) for one in (before, after))
        boot: Bootstrap = runner.bootstrap
        change = {name: boot.paired_difference(with_rule[name], values[name]) for name in values}
        places = (before.rows_given >= 0) | (after.rows_given >= 0)
        return RulePrice(*rule, float(other.any(axis=1).mean()), float(other.sum() / max(1, places.sum())), boot.means(values), change)

    def _per_user(self, runner: EvaluationRunner, lists: Lists, categories: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return each user's metrics, float (users,) each; an unknown price or margin counts as nothing."""
        relevant, snapshot = runner.ground_truth.relevant("all"), self.recommender.snapshot
        if categories:
            relevant = relevant.where(in_categories(snapshot.catalog, categories)[relevant.item])
        rows = lists.rows_given
        there, real = rows >= 0, np.maximum(rows, 0)
        prices = np.where(there, np.nan_to_num(snapshot.prices[real]), 0)
        found = {NDCG: ndcg(rows, relevant, K), REVENUE: (relevant.hits(rows) * prices).sum(axis=1).astype(float)}
        if self.recommender.ranker is None:
            return found
        chance = np.where(there & np.isfinite(lists.scores), lists.scores, 0)
        found[EXPECTED_REVENUE] = (chance * prices).sum(axis=1)
        margins = _merchandising(self.recommender, self.rules).known_margins
        if not np.isnan(margins).all():
            found[EXPECTED_PROFIT] = (chance * np.where(there, np.nan_to_num(margins[real]), 0)).sum(axis=1)
        return found
