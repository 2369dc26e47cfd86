"""Defines the route of the page of rules: those in force with what they match, their price, and the places that they have taken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
from fastapi import APIRouter, Request, Response

from features.errors import ConfigError, DataError
from ranking.blocklist import Blocklist
from ranking.merchandising.rules import MerchandisingRules
from recsys.apps.storefront.rule_check import PRICES, rules_state
from recsys.apps.storefront.rule_shares import rule_shares
from recsys.service.pages.html import PageRoute, page
from recsys.service.pages.reports import read_rule_prices, written
from recsys.service.routes import LiveBundleOf, ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route
from recsys.workspace.impression_columns import PAGE_ROW, POSITION, RULE, TIME

if TYPE_CHECKING:
    from recsys.apps.storefront.rule_check import RulesState
    from recsys.recommend.pipeline import Recommender
    from recsys.workspace.workspace import Workspace

rule_pages = APIRouter(route_class=PageRoute)
LATEST_PAGES = 5_000  # that shares are counted over: some 50 MB while they are


@dataclass
class ShownRules:
    """What the page shows.

    Attributes
    ----------
    prices : rule -> its entry in the report of `recsys rules price`.
    priced : when that was written, and the day on which its purchases begin; None without a report.
    outdated : whether merchandising.toml is younger than the report.
    shares : rule -> its rows of `rule_shares`, over the latest pages since the rule holds.
    since : the first page that is counted; None where none was served.
    blocked : how many items the blocklist bars.
    problems : one line for each file that is wrong or not in force yet.
    """

    state: RulesState
    blocklist: Blocklist
    blocked: int
    prices: dict[str, Any] = field(default_factory=dict)
    priced: tuple[datetime, str] | None = None
    outdated: bool = False
    shares: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    since: datetime | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def blocked_by(self) -> list[str]:
        """What the blocklist names, in words."""
        named = {("category", "categories"): self.blocklist.categories, ("brand", "brands"): self.blocklist.brands}
        named |= {("item", "items"): self.blocklist.items}
        said = [f"{len(given)} {one if len(given) == 1 else more}" for (one, more), given in named.items() if given]
        return said + (["what is not available"] if self.blocklist.unavailable else [])


@rule_pages.get("/rules")
async def rules(request: Request, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Show the rules."""
    shown = await asyncio.to_thread(_read, service.workspace, live.recommender)
    return page(request, "rules", shown=shown, latest=LATEST_PAGES)


def _read(workspace: Workspace, recommender: Recommender) -> ShownRules:
    shown = ShownRules(rules_state(recommender), recommender.blocklist, int((~recommender.not_blocked).sum()))
    _compare_files(shown, workspace, recommender)
    if shown.state.rules:
        try:
            _add_prices(shown, workspace)
            _add_shares(shown, workspace, recommender.rules)
        except DataError as error:
            shown.problems.append(str(error))
    return shown


def _compare_files(shown: ShownRules, workspace: Workspace, recommender: Recommender) -> None:
    merchandising, blocklist = workspace.merchandising, workspace.rules
    try:
        changed = [merchandising.name] if MerchandisingRules.read(merchandising) != recommender.rules else []
        changed += [blocklist.name] if Blocklist.read(blocklist) != recommender.blocklist else []
        shown.problems += [f"{name} has changed: it is in force within a second" for name in changed]
    except ConfigError as error:
        shown.problems.append(f"{error}. The rules below stay in force, but the service takes no new bundle until this is mended")


def _add_prices(shown: ShownRules, workspace: Workspace) -> None:
    path = workspace.reports / PRICES
    report = read_rule_prices(path)
    if report is not None:
        shown.prices = {one["rule"]: one for one in report["rules"]}
        shown.priced = (written(path), str(report["cut"])[:10])
        shown.outdated = workspace.merchandising.is_file() and written(workspace.merchandising) > shown.priced[0]


def _add_shares(shown: ShownRules, workspace: Workspace, in_force: MerchandisingRules) -> None:
    """Count each rule's places from the moment on from which it holds, over the latest pages."""
    first = workspace.impressions.time_of_latest(LATEST_PAGES)
    if first is None:
        return
    shown.since = datetime.fromtimestamp(first, UTC)
    places = workspace.impressions.frame(first).select(RULE, PAGE_ROW, POSITION, TIME)
    starts = {rule.name: rule.between(in_force.time_zone)[0] for _, rule in in_force.named()}
    begins = {name: first if start is None else max(first, int(start.timestamp())) for name, start in starts.items()}
    for begin in {first, *begins.values()}:
        for row in rule_shares(places.filter(pl.col(TIME) >= begin)).iter_rows(named=True):
            if begins.get(row[RULE], first) == begin:  # what lists are ordered by has no beginning
                shown.shares.setdefault(row[RULE], []).append(row)
