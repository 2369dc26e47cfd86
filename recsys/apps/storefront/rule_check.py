"""What the rules of merchandising.toml are about at present: where and when each holds, and how many items it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ranking.merchandising.conflicts import notes

if TYPE_CHECKING:
    from ranking.merchandising.facts import Merchandising
    from recsys.recommend.pipeline import Recommender

PRICES = "rule-prices.json"  # the last report of `recsys rules price` on all rules, in reports/


@dataclass(frozen=True)
class RuleState:
    """One rule. `items`: how many of the catalogue it is about. `holds`: whether it holds now, somewhere."""

    name: str
    kind: str
    does: str
    where: str
    items: int
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {
            "rule": self.name,
            "kind": self.kind,
            "does": self.does,
            "where": self.where,
            "items": self.items,
            "holds_now": self.holds,
        }


@dataclass(frozen=True)
class RulesState:
    """All rules, and notes on those that do nothing."""

    rules: tuple[RuleState, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {"rules": [rule.to_dict() for rule in self.rules], "notes": list(self.notes)}

    def lines(self) -> list[str]:
        """Return the rules for a terminal, one a line, and the notes."""
        if not self.rules:
            return ["no rules: merchandising.toml is empty or not there; see docs/merchandising.md"]
        said = [
            f"{one.kind} {one.name!r}: {one.does}, in {one.where}, {'holds now' if one.holds else 'does not hold now'}"
            for one in self.rules
        ]
        return [*said, *self.notes]


def rules_state(recommender: Recommender, moment: datetime | None = None) -> RulesState:
    """Describe the rules of an opened recommender, which do not contradict each other; `moment`: by default now."""
    moment = moment or datetime.now(UTC)
    facts = recommender.merchandising
    rules, zone = facts.rules, facts.rules.time_zone
    states = [
        RuleState(rule.name, kind, _does(facts, kind, rule), str(rule.where), _items(facts, kind, rule), rule.holds(moment, zone))
        for kind, rule in rules.named()
    ]
    if not rules.objective.plain:
        pressure = f", stock pressure {rules.objective.stock_pressure:g}" if rules.objective.stock_pressure else ""
        does = f"lists are ordered by {rules.objective.by.replace('_', ' ')}{pressure}"
        states.append(RuleState("objective", "objective", does, str(rules.objective.where), len(facts.catalog), holds=True))
    return RulesState(tuple(states), tuple(notes(facts, moment)))


def _items(facts: Merchandising, kind: str, rule: Any) -> int:
    if kind == "pin":
        return int(facts.pinned[rule.name] >= 0)
    return int((facts.codes[rule.name] >= 0).sum() if kind == "limit" else facts.masks[rule.name].sum())


def _does(facts: Merchandising, kind: str, rule: Any) -> str:
    """Say in words what a rule does."""
    about = f"{_items(facts, kind, rule):,} items"
    match kind:
        case "pin":
            return f"item {rule.item!r} at position {rule.position}"
        case "limit":
            value = "" if rule.value is None else f" {rule.value!r}"
            first = "a list" if rule.first is None else f"the first {rule.first}"
            return f"at most {rule.most} of {'one ' if not value else ''}{rule.by}{value} in {first} ({about})"
        case "campaign":
            return f"at least {rule.at_least} of {about} among the first {rule.first}"
        case _:
            return f"the probability of {about} counts {rule.factor:g} times"
