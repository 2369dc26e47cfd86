"""What a search log is worth: the search's booster with and without a simulated log, and with clicks as they are.

    python -m benchmarks.search_log [--workspace DIR] [--searches N] [--seeds N]

The log is made by the position-based click model over what households bought in the eight weeks before the evaluation's
cut (`eval.simulation.search_log`). Searches of the four weeks after it are judged by what was really bought. The model
is that of `recsys evaluate`; only the parts that read a search log are fitted again: the counts of clicks and the
booster. Prints a JSON line for each comparison, with the ratio of NDCG@10 over the searches
of all seeds and its 95% interval; `kept` is the first's NDCG@10. `type known` is a ceiling for understanding queries: the
search without the log, which may list items of the product type alone that the customer is after.
"""

from __future__ import annotations

import argparse
import copy
import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics.intervals import Bootstrap
from eval.metrics.judged import graded_ndcg
from eval.search.evaluate import ask
from eval.search.mixes import Mix, popularity
from eval.search.product_types import ProductTypes
from eval.search.text_scores import LexicalScores
from eval.simulation.config import SearchLogConfig
from eval.simulation.search_log import WEEK, Searches, search_log
from features.data.queries import Queries
from features.data.split import Split
from features.text.embeddings import group
from features.text.state_cache import cached_states
from features.text.template import item_texts, text_hashes
from recsys.apps.search.evaluate import runs
from recsys.apps.search.pipeline import Search, SearchGroup
from recsys.apps.search.request import SearchOptions
from recsys.offline.evaluate import evaluation_cut
from recsys.recommend.pipeline import Recommender
from recsys.settings.settings import load_settings
from recsys.snapshot.encode import EncodeOptions, encode_catalog
from recsys.snapshot.snapshot import take_snapshot
from recsys.training.find_or_train import TrainingPlan, model_until
from recsys.training.options import TrainOptions
from recsys.training.search import fit_search
from recsys.training.towers import TextModels
from recsys.workspace.workspace import Workspace
from retrieval.text_search import count_clicks

if TYPE_CHECKING:
    from features.text.token_states import TokenStates
    from recsys.settings.settings import Settings
    from retrieval.query_tower.model import QueryTower

WEEKS = 8
ENGINE = {"bm25": 1.0, "popularity": 0.5}  # what the simulated shop shows; its sales of the last week change its order
JUDGED = 2000
COMPARED = (
    ("search log", "debiased", "without", 1.15),
    ("debiased clicks", "debiased", "naive", 1.0),
    ("type known", "type known", "without", None),
)


class _Once:
    """A query tower that computes the vectors of the texts once."""

    def __init__(self, tower: QueryTower, vectors: np.ndarray) -> None:
        self.tower, self.texts = copy.deepcopy(tower), vectors
        self.tower.queries.load_state_dict(tower.texts.state_dict())  # as before training, which is in place

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tower, name)

    def vectors(self, states: TokenStates, *, queries: bool = False) -> np.ndarray:
        return self.tower.vectors(states, queries=True) if queries else self.texts


class Shop:
    """The shop at the evaluation's cut, with the model of `recsys evaluate`."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.workspace, self.settings = Workspace(root), settings
        self.catalog, self.log = self.workspace.load(self.settings.events)
        self.split = Split.by_time(self.log, evaluation_cut(self.log))
        self.tables = self.catalog, self.split.history
        self.model = model_until(self.workspace, root / "evaluation", self.settings, TrainOptions(), self.tables, self.split.cut)
        encoded = encode_catalog(self.catalog, self.model, self.workspace.cache, options=EncodeOptions(states=True))
        self.snapshot = take_snapshot(self.catalog, self.split.history, self.split.cut, self.model, encoded, self.settings.indexing)

    @cached_property
    def states(self) -> TokenStates:
        """Token states of the distinct texts."""
        first, _ = group(text_hashes(item_texts(self.catalog)))
        return cached_states(self.model.encoder, item_texts(self.catalog).gather(first).to_list(), self.workspace.cache)

    def models(self) -> TextModels:
        """Return the trained texts, as the training of search reads them, with a queries' side to train."""
        encoder, snapshot = self.model.encoder, self.snapshot
        tower: Any = _Once(self.model.query_tower, snapshot.search_texts.vectors)
        return TextModels(snapshot.text_of, encoder, self.model.tower, tower, snapshot.text_vectors, self.states, {})

    def simulated(self, config: SearchLogConfig) -> Queries:
        """Return the search log of the `WEEKS` before the cut."""
        lexical, history = LexicalScores.of(self.catalog), self.split.history

        def engine_at(now: int) -> Mix:
            return Mix({"bm25": lexical, "popularity": popularity(history.between(None, now), now, 7)}, ENGINE)

        searches = Searches.of(history.between(self.split.cut - WEEKS * WEEK, None), self.catalog, config)
        frame = search_log(searches, self.catalog, engine_at, config)
        return Queries.of(frame, self.catalog, history.with_known_users().user_ids)

    def search(self, log: Queries | None, *, debiased: bool = True) -> Search:
        """Return the search that has learned from a log."""
        plan = TrainingPlan.of(self.settings, TrainOptions(queries=log), self.tables, self.split.cut)
        assert self.model.ranking is not None
        models = self.models()
        with TemporaryDirectory() as work:
            ranker, pairs, about = fit_search(plan.job, models, self.model.ranking, Path(work), debiased=debiased)
        print(json.dumps({"name": "learned from", "lists": about.get("lists"), "source": about["learned_from"]}), flush=True)
        print(json.dumps({"name": "queries' side"} | about["query_tower"]), flush=True)
        model = replace(self.model, search=ranker, pairs=pairs, query_tower=models.query_tower.tower, about={"search": about})
        clicks = count_clicks(log, self.snapshot.lexical, debiased=debiased)
        matching = model.matching(self.settings.search.retrieval)
        return Search(Recommender(model, replace(self.snapshot, query_clicks=clicks, text_search=matching)))


def within_types(search: Search, searches: Searches, type_of: np.ndarray) -> np.ndarray:
    """Return the lists of searches, int64 (n, 10), where each may hold items of the type that was bought alone.

    Parameters
    ----------
    type_of : the product type of each item, int64 (n_items,).
    """
    wanted = np.full(len(searches.queries), -1)
    wanted[searches.bought.user] = type_of[searches.bought.item]
    out = np.full((len(wanted), 10), -1, dtype=np.int64)
    for place, asked in enumerate(zip(searches.queries, searches.users, strict=True)):
        group = SearchGroup.of(search, SearchOptions(k=10), [asked])
        group = replace(group, mask=group.mask & (type_of == wanted[place]))
        best = group.rank(group.retrieve()).rows[0, :10]
        out[place, : len(best)] = best
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--searches", type=int, default=40_000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    shop, found = Shop(options.workspace, load_settings(None)), {"without": [], "debiased": [], "naive": [], "type known": []}
    for seed in range(options.seeds):
        config = SearchLogConfig(searches=options.searches, seed=seed)
        after = shop.log.between(shop.split.cut, None)
        later = Searches.of(after, shop.catalog, config.model_copy(update={"searches": JUDGED, "seed": 1000 + seed}))
        truth = later.query_set()
        log = shop.simulated(config)
        searches = {"without": shop.search(None), "debiased": shop.search(log), "naive": shop.search(log, debiased=False)}
        for name, search in searches.items():
            found[name].append(graded_ndcg(ask(runs(search)["ours"], truth, 10), truth.judgments, 10))
        lists = within_types(searches["without"], later, ProductTypes.of(shop.catalog).of_item)
        found["type known"].append(graded_ndcg(lists, truth.judgments, 10))
    quality = {name: np.concatenate(values) for name, values in found.items()}
    for name, first, second, target in COMPARED:
        ratio = Bootstrap().paired_ratio(quality[first], quality[second])
        row = {"name": name, "ratio": ratio.value, "low": ratio.low, "high": ratio.high, "target": target}
        print(json.dumps(row | {"kept": float(quality[first].mean()), "queries": ratio.users}), flush=True)


if __name__ == "__main__":
    main()
