"""`recsys demo --reviews`: what customers say, in a small shop that a script makes, up to an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from eval.simulation.reviewed_shop import BROKEN, DAYS, INCIDENT, ReviewedShop, reviewed_shop
from features.errors import DataError
from features.ingest.source import Source
from features.ingest.table_store import is_ingested, load_source
from recsys.apps.reviews.request import ReviewsRequest
from recsys.cli.render import stdout
from recsys.cli.reviews.render import render_alerts, render_reviews
from recsys.shop import Shop

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

FOLDER = "reviewed-shop"  # of the workspace, with the made-up files
QUIET_DAYS = 5  # before the item breaks: the day on which the demo stands first


def run_demo(workspace: Workspace, settings: Settings) -> None:
    """Make a shop, ingest, train, build, show what customers say, and refresh day by day until an alert is raised."""
    console, shop, made = stdout(), Shop(workspace, settings), reviewed_shop()
    source = _source(workspace.root / FOLDER)
    if is_ingested(workspace.data) and load_source(workspace.data) != source:
        raise DataError(f"{workspace.data} holds another shop's data: choose another folder with --workspace, the demo fills its own")
    console.rule("1. Ingest: a small shop that a script makes, its reviews included")
    first = INCIDENT - QUIET_DAYS
    _write(made.before(first), source)
    console.print(Text(str(workspace.ingest(source))))
    console.rule("2. Train: the classifier of reviews learns from the customers' stars")
    console.print(Text(shop.train()))
    console.rule("3. Build the index and publish")
    console.print(Text(shop.build_index()))
    console.print(Text(str(shop.refresh())))
    console.rule("4. What customers say of an item, and of the shop")
    render_reviews(shop.reviews.answer(ReviewsRequest(item=BROKEN)), console)
    render_reviews(shop.reviews.answer(ReviewsRequest()), console)
    console.rule(f"5. From day {INCIDENT} on, {BROKEN} breaks. The shop refreshes every day")
    for day in range(first + 1, DAYS + 1):
        _write(made.before(day), source)
        done = shop.refresh()
        if done.surges:
            console.print(Text(f"day {day}: exit code 3, and for the webhook:"))
            for sentence in done.surges:
                console.print(Text(f"  {sentence}"))
            break
        console.print(Text(f"day {day}: no surge of complaints"))
    console.rule("6. recsys reviews --alerts")
    render_alerts(shop.reviews.alerts(), console)


def _source(folder: Path) -> Source:
    return Source(items=folder / "items.csv", interactions=folder / "interactions.csv", reviews=folder / "reviews.csv").absolute()


def _write(shop: ReviewedShop, source: Source) -> None:
    for table, path in ((shop.items, source.items), (shop.interactions, source.interactions), (shop.reviews, source.reviews)):
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_csv(path)
