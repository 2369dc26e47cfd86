"""`recsys demo`: the whole job on a real retailer's year, seen from a day four weeks before its end.

The recommender knows nothing after that day, so the lists can be held against what the household really bought.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from rich.table import Table
from rich.text import Text

from eval.reports.evaluation import table
from features.data.catalog import Catalog
from features.data.histories import Histories
from features.errors import DataError
from features.ingest.source import Source
from features.ingest.table_store import is_ingested, load_source
from features.text.plain import plain
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.check import find_bundle
from recsys.cli.assistant.demo import show_conversation, write_help_pages
from recsys.cli.render import recommendations_table, render_found, stdout
from recsys.offline.evaluate import evaluate, evaluation_cut
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.refresh.inputs import key_of
from recsys.training.find_or_train import find_or_train
from recsys.training.options import TrainOptions
from recsys.training.windows import moment
from retrieval.collaborative.scoring import batches

if TYPE_CHECKING:
    from rich.console import Console

    from features.data.interactions import Interactions
    from recsys.recommend.answers import Answer
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

DATASET = "completejourney"
LAST_PURCHASES = 8
NEED, MISSPELT, STAPLE = "something warm to drink", "choclate cookies under 3 dollars", "milk"  # searches
ASKED = 20  # households that are asked for the new product
NEW_PRODUCT = {
    "item_id": "demo-oat-milk",
    "title": "Organic Oat Milk Barista Edition, 64 OZ",
    "brand": "National",
    "category": "Grocery|Refrigerated Soy Milk",
    "price": 4.49,
}


@dataclass(frozen=True)
class Stand:
    """Where the demo stands: the log before the day, and what was bought after it."""

    workspace: Workspace
    settings: Settings
    catalog: Catalog
    before: Interactions
    after: Interactions
    console: Console


def run_demo(workspace: Workspace, settings: Settings) -> None:
    """Ingest, train, build, evaluate, recommend; steps that are done already are not repeated."""
    console = stdout()
    console.rule("1. Ingest: Complete Journey, a real grocer's year, with help pages of a made-up grocer")
    _ingest(workspace, console)
    catalog, log = workspace.load(settings.events)
    cut = evaluation_cut(log)
    stand = Stand(workspace, settings, catalog, log.between(None, cut), log.between(cut, None), console)
    console.rule(f"2. Train on everything before {moment(cut)}")
    _model, said = find_or_train(workspace, workspace.models, settings, TrainOptions(), (catalog, log), cut)
    console.print(Text(said))
    console.rule("3. Build the index and publish")
    recommender = _published(stand, catalog)
    console.rule("4. How good is it? Judged on the four weeks after that day")
    _evaluation(stand)
    console.rule("5. A household")
    user = _household(stand)
    _show_household(stand, recommender, user)
    console.rule("6. One more purchase")
    _one_more(stand, recommender, user)
    console.rule("7. Search")
    _searches(stand, recommender, user)
    console.rule("8. A product that did not exist before")
    _new_product(stand)
    console.rule("9. The assistant")
    show_conversation(Search(recommender), settings, user, console)


def _ingest(workspace: Workspace, console: Console) -> None:
    source = Source(dataset=DATASET)
    known = load_source(workspace.data) if is_ingested(workspace.data) else source
    if known.model_copy(update={"help_pages": None}) != source:
        raise DataError(f"{workspace.data} holds another shop's data: choose another folder with --workspace, the demo fills its own")
    if known.help_pages is not None:
        console.print("already ingested")
        return
    pages = write_help_pages(workspace.root)
    console.print(Text(str(workspace.ingest(source.model_copy(update={"help_pages": pages}).absolute()))))


def _published(stand: Stand, catalog: Catalog) -> Recommender:
    """The recommender over these items and the log before the day: from a bundle that is kept, or from a new one."""
    model = build.current_model(stand.workspace, stand.settings)
    inputs = key_of(stand.workspace, stand.settings, model, catalog, stand.before)
    if bundle := find_bundle(stand.workspace.bundles, inputs=inputs):
        stand.console.print(f"bundle {bundle.id} is already there")
        return open.open_recommender(stand.workspace, bundle.id)
    begun = time.perf_counter()
    said = build.build(stand.workspace, stand.settings, model, catalog, stand.before)
    stand.console.print(Text(f"{said} ({time.perf_counter() - begun:.0f} s)"))
    return open.open_recommender(stand.workspace)


def _evaluation(stand: Stand) -> None:
    """The table of `recsys evaluate`, kept beside its page for the next time."""
    model_id = Bundle.open(stand.workspace.models).id
    kept = stand.workspace.reports / f"evaluation-{model_id}.txt"
    if not kept.exists():
        # The defaults of [baselines] are what tuning finds on this very shop: docs/decisions/006.
        untuned = stand.settings.model_copy(update={"evaluate": stand.settings.evaluate.model_copy(update={"tune": False})})
        report = evaluate(stand.workspace, untuned)
        with stand.console.capture() as captured:
            stand.console.print(table(report))
        kept.write_text(captured.get(), encoding="utf-8")
    stand.console.print(Text.from_ansi(kept.read_text(encoding="utf-8")))
    stand.console.print(f"page with plots: {stand.workspace.reports / 'evaluation.html'}")


def _household(stand: Stand) -> str:
    """The household of median activity among those who bought something afterwards: not chosen for its list."""
    users = np.intersect1d(stand.before.user, stand.after.user)
    counts = np.bincount(stand.before.user, minlength=stand.before.n_users)[users]
    return str(stand.before.user_ids[users[np.argsort(counts, kind="stable")[len(users) // 2]]])


def _show_household(stand: Stand, recommender: Recommender, user: str) -> None:
    console, log = stand.console, stand.before
    row = int(log.user_rows([user])[0])
    mine = np.flatnonzero(log.user == row)
    console.print(Text(f"Household {user}: {len(mine):,} purchases before the day. The last ones:"))
    last = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Day", "Item", "Title"):
        last.add_column(heading)
    for event in mine[::-1][:LAST_PURCHASES]:
        day = datetime.fromtimestamp(int(log.time[event]), UTC).date().isoformat()
        last.add_row(day, str(stand.catalog.ids[log.item[event]]), Text(plain(stand.catalog.frame["title"][int(log.item[event])])))
    console.print(last)
    answer = next(recommender.answer(RecommendOptions(), [user]))
    console.print(Text(f"\nRecommended to household {user} on that day (* = bought within the four weeks after):"))
    console.print(_marked(stand, answer, row))
    new = next(recommender.answer(RecommendOptions(new_only=True), [user]))
    console.print(Text("\nAnd among what the household had never bought:"))
    console.print(_marked(stand, new, row))


def _marked(stand: Stand, answer: Answer, row: int) -> Table:
    bought = set(stand.catalog.ids[stand.after.item[stand.after.user == row]].tolist())
    items = [replace(item, title=f"* {item.title}" if item.item_id in bought else item.title) for item in answer.items]
    return recommendations_table(items)


def _one_more(stand: Stand, recommender: Recommender, user: str) -> None:
    """Show the list after one more purchase: of the thirty likeliest new items, the one with the fewest recent buyers."""
    snapshot = recommender.snapshot
    likely = next(recommender.answer(RecommendOptions(new_only=True, k=30), [user])).items
    buyers = snapshot.collaborative.popularity.recent[snapshot.catalog.rows([item.item_id for item in likely])]
    extra = likely[int(buyers.argmin())]
    stand.console.print(Text(f"Household {user} now buys {plain(extra.title)} ({extra.item_id}). What to offer next that is new to it:"))
    after = next(recommender.answer(RecommendOptions(history=(extra.item_id,), new_only=True), [user]))
    stand.console.print(recommendations_table(after.items))
    stand.console.print(Text("And an unknown visitor with nothing but this in the basket:"))
    basket = next(recommender.answer(RecommendOptions(history=(extra.item_id,)), [None]))
    stand.console.print(recommendations_table(basket.items[:5]))


def _searches(stand: Stand, recommender: Recommender, user: str) -> None:
    """Show three searches: a need in other words, a misspelt one with a price, and one for the household beside nobody."""
    search = Search(recommender)
    asked: tuple[tuple[str, str | None], ...] = ((NEED, None), (MISSPELT, None), (STAPLE, None), (STAPLE, user))
    for answer in search.answer(SearchOptions(k=5), asked):
        render_found(answer, stand.console)


def _new_product(stand: Stand) -> None:
    """Add a product, refresh, and show a household that is offered it."""
    console = stand.console
    created = datetime.fromtimestamp(stand.before.end, UTC).replace(tzinfo=None)
    added = pl.DataFrame([NEW_PRODUCT | {"created_at": created}])
    catalog = Catalog.from_frame(pl.concat([stand.catalog.frame, added], how="diagonal_relaxed"))
    console.print(Text(f"Added to the catalogue: {NEW_PRODUCT['title']}. Nobody has ever bought it; no model is trained again."))
    begun = time.perf_counter()
    # The same rows stand for other items now: the log is converted anew, as a refresh does it.
    fresh = replace(stand, catalog=catalog, before=_on(catalog, stand))
    recommender = _published(fresh, catalog)
    console.print(f"refresh: {time.perf_counter() - begun:.1f} s")
    item = str(NEW_PRODUCT["item_id"])
    for answer in _asked(recommender, item):
        place = next((shown.rank for shown in answer.items if shown.item_id == item), None)
        if place:
            console.print(Text(f"Household {answer.user_id} is offered it, at place {place} of 10:"))
            console.print(recommendations_table(answer.items))
            return
    console.print(f"none of the {ASKED} households that bought most like it is offered it among the first ten")


def _on(catalog: Catalog, stand: Stand) -> Interactions:
    """Return the log before the day with the rows of a catalogue that has more items."""
    rows = catalog.rows(stand.catalog.ids.tolist()).astype(np.int32)
    return replace(stand.before, item=rows[stand.before.item], n_items=len(catalog))


def _asked(recommender: Recommender, item: str) -> list[Answer]:
    """Return answers for the households that bought most items near to this one."""
    snapshot = recommender.snapshot
    row = snapshot.catalog.rows_or_raise([item])
    everybody = Histories.of_users(snapshot.log, np.arange(snapshot.log.n_users), snapshot.now)
    arrivals = recommender.retriever.arrivals
    if arrivals is None:
        return []
    parts = batches(len(everybody))  # a row of scores is as long as the catalogue
    near = np.concatenate([arrivals.pair_scores(everybody.take(part), np.tile(row, (len(part), 1)))[:, 0] for part in parts])
    users = [str(snapshot.log.user_ids[i]) for i in np.argsort(-near, kind="stable")[:ASKED]]
    return list(recommender.answer(RecommendOptions(), users))
