"""`recsys evaluate search`: how good the search is, beside BM25, the encoder as pretrained, and their mixes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from eval.metrics.intervals import Bootstrap
from eval.search.baselines import Moment, SearchBaselines, settings_of
from eval.search.evaluate import evaluate_search as evaluate_runs
from eval.search.evaluate import one_edit
from eval.search.judged_file import read_judged
from eval.search.kinds import language_slices, no_lexical_match, typo_slice
from eval.search.logged import logged_queries
from eval.search.personal import personal_queries, type_queries
from eval.search.text_scores import LexicalScores, VectorScores
from features.data.split import Split
from features.errors import DataError
from features.storage.atomic import write_whole
from features.text.template import item_texts
from recsys.apps.search.pipeline import BATCH, Search, SearchGroup
from recsys.apps.search.request import SearchOptions
from recsys.artifacts.model_card import of_search_log
from recsys.offline.evaluate import evaluation_cut, progress
from recsys.progress import terminal_progress
from recsys.recommend.open import open_recommender
from recsys.recommend.pipeline import Recommender
from recsys.snapshot.encode import EncodeOptions, encode_catalog
from recsys.snapshot.snapshot import take_snapshot
from recsys.training.find_or_train import model_until
from recsys.training.options import TrainOptions
from retrieval.text_search import count_clicks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eval.protocol.runner import Progress
    from eval.search.query_set import QuerySet, SearchRun
    from eval.search.report import SearchReport
    from features.data.catalog import Catalog
    from features.data.queries import Queries
    from recsys.artifacts.model import Model
    from recsys.settings.settings import Settings
    from recsys.snapshot.snapshot import Snapshot
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
Protocol = Literal["judged", "personal", "log"]
TUNED_ON = 500  # queries of the weeks before the cut, on which the baselines are tuned
EDITED = 200  # queries that get an edit in a word
QUERIES = 2000
WITHOUT_PAIRS = "ours_without_cross_encoder"


@dataclass(frozen=True)
class SearchEvaluation:
    """What a search is evaluated on.

    Attributes
    ----------
    protocol : None: "judged" with a file, "log" where the shop's search log has clicks or purchases after the cut, else "personal"
    judged : a file of judged queries, see `eval.search.judged_file`; the bundle in use answers them
    queries : at most so many of the log or of households
    train : the model of the other two protocols: trained before the cut
    """

    protocol: Protocol | None = None
    judged: Path | None = None
    queries: int = QUERIES
    train: TrainOptions = field(default_factory=TrainOptions)

    def __post_init__(self) -> None:
        if (self.protocol == "judged" and self.judged is None) or (self.judged is not None and self.protocol not in (None, "judged")):
            raise DataError(f"the protocol {self.protocol} and the judged file {self.judged} do not go together: give --judged FILE alone")


@dataclass(frozen=True)
class _Setting:
    """A search with the queries to judge it on, and what the baselines are tuned on.

    Attributes
    ----------
    before : the same kind of queries at an earlier time; None: the baselines are tuned on `queries` themselves
    """

    search: Search
    queries: QuerySet
    now: Moment
    before: tuple[QuerySet, Moment] | None = None


def evaluate_search(workspace: Workspace, settings: Settings, options: SearchEvaluation | None = None) -> SearchReport:
    """Evaluate the search, and write JSON to reports/.

    Raises
    ------
    DataError
        The file of judged queries cannot be read, or nobody buys or clicks after the cut.
    BundleError
        Queries of a file are to be answered, and no bundle is published.
    """
    options = options or SearchEvaluation()
    setting = _judged(workspace, options.judged) if options.judged is not None else _after_cut(workspace, settings, options)
    with progress() as show:
        report = evaluate_setting(setting, settings, workspace.cache, show)
    write_whole(workspace.reports / "search_evaluation.json", report.to_json())
    _log.info("all numbers: %s", workspace.reports / "search_evaluation.json")
    return report


def evaluate_setting(setting: _Setting, settings: Settings, cache: Path, show: Progress) -> SearchReport:
    """Evaluate the search of a setting and its baselines."""
    snapshot = setting.search.recommender.snapshot
    lexical, (encoder, *notes) = LexicalScores.of(snapshot.catalog), _frozen_encoder(settings, snapshot.catalog, cache)
    tuning, then = setting.before or (setting.queries, setting.now)
    if setting.before is None:
        notes.append("the baselines have the settings that are best on these very queries")
    baselines = SearchBaselines(lexical, encoder).tuned(tuning, then, setting.now)
    queries, boot = setting.queries, Bootstrap(settings.evaluate.resamples, settings.evaluate.seed)
    if setting.search.pairs is None:
        notes.append("search has no cross-encoder: in training it did not improve the lists that were held out")
    about: dict[str, Any] = getattr(setting.search.recommender.model, "about", {})  # that of a bundle is in its model card
    if trained := about.get("search"):
        notes.append(f"of the search log the ranking reads {of_search_log(trained)}")
    queries = queries.with_slices(_slices(queries, lexical, snapshot.catalog), *notes)
    ours = runs(setting.search)
    report = evaluate_runs(ours | baselines, queries, boot, show)
    told = {
        "cut": datetime.fromtimestamp(setting.now.cut, UTC).isoformat(),
        "bundle_id": setting.search.recommender.bundle_id or None,
    }
    edited = queries if queries.name == "judged" else type_queries(snapshot.catalog, EDITED, settings.evaluate.seed)
    kept = one_edit(ours["ours"], edited, boot, settings.evaluate.seed) if len(edited) else None
    return report.also(one_edit=kept, settings=settings_of(baselines), about=told)


def runs(search: Search) -> dict[str, SearchRun]:
    """Return ours, ours without what it knows of the user, and ours without the cross-encoder, where the search has one."""

    def run(queries: Sequence[str], users: Sequence[str | None], k: int, *, ranked: bool = True, search: Search = search) -> np.ndarray:
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        pairs = list(zip(queries, users, strict=True))
        for begin in range(0, len(pairs), BATCH):
            group = SearchGroup.of(search, SearchOptions(k=k), pairs[begin : begin + BATCH])
            found = group.retrieve()
            best = (group.rank(found) if ranked else group.unranked(found)).rows[:, :k]
            rows[begin : begin + BATCH, : best.shape[1]] = best
        return rows

    found = {"ours": run, "ours_impersonal": partial(run, ranked=False)}
    if search.pairs is not None:
        found[WITHOUT_PAIRS] = partial(run, search=replace(search, reads_pairs=False))
    return found


def _judged(workspace: Workspace, file: Path) -> _Setting:
    """Return the search of the bundle in use, with the queries of a file."""
    recommender = open_recommender(workspace)
    snapshot = recommender.snapshot
    return _Setting(Search(recommender), read_judged(file, snapshot.catalog, snapshot.prices), Moment(snapshot.log, snapshot.now))


def _after_cut(workspace: Workspace, settings: Settings, options: SearchEvaluation) -> _Setting:
    """Return a search that has seen nothing after `evaluation_cut`, with queries from after it."""
    catalog, log = workspace.load(settings.events)
    split = Split.by_time(log, evaluation_cut(log))
    # With the rows that users have in the log that a model is trained on.
    searches = workspace.load_queries(catalog, split.history.with_known_users().user_ids)
    queries = _queries_after(catalog, split, searches, options)
    train = replace(options.train, queries=None if searches is None else searches.between(None, split.cut))
    snapshot = _snapshot_at(workspace, settings, train, catalog, split)
    now = Moment(split.history, split.cut)
    return _Setting(Search(Recommender(*snapshot)), queries, now, _earlier(catalog, split))


def _queries_after(catalog: Catalog, split: Split, searches: Queries | None, options: SearchEvaluation) -> QuerySet:
    """Return the queries from after the cut, of the log where it has clicks or purchases there, else of households."""
    seed, known = options.train.seed, set(split.history.user_ids[np.unique(split.history.user)].tolist())
    if options.protocol == "log" and searches is None:
        raise DataError("there is no search log: ingest one with --queries FILE, or evaluate with --protocol personal")
    if searches is not None and options.protocol != "personal":
        try:
            return logged_queries(searches, split.cut, options.queries, seed, known)
        except DataError as error:
            if options.protocol == "log":
                raise
            _log.warning("%s; households' queries for product types are judged instead", error)
    return personal_queries(catalog, split, options.queries, seed)


def _snapshot_at(workspace: Workspace, settings: Settings, train: TrainOptions, catalog: Catalog, split: Split) -> tuple[Model, Snapshot]:
    """Return a model trained before the cut, and the snapshot at the cut."""
    model = model_until(workspace, workspace.root / "evaluation", settings, train, (catalog, split.history), split.cut)
    encoded = encode_catalog(catalog, model, workspace.cache, options=EncodeOptions(progress=terminal_progress))
    snapshot = take_snapshot(catalog, split.history, split.cut, model, encoded, settings.indexing)
    return model, replace(snapshot, query_clicks=count_clicks(train.queries, snapshot.lexical))


def _earlier(catalog: Catalog, split: Split) -> tuple[QuerySet, Moment] | None:
    """Return households' queries in as long a time before the cut; None where the log is too short for it."""
    cut = 2 * split.cut - split.end
    try:
        before = Split.by_time(split.history, cut)
        return personal_queries(catalog, before, TUNED_ON, seed=1), Moment(before.history, cut)
    except DataError:
        return None


def _slices(queries: QuerySet, lexical: LexicalScores, catalog: Catalog) -> dict[str, np.ndarray]:
    """Return the kinds of query that the words alone tell."""
    typos = {} if "typo" in queries.slices else {"typo": typo_slice(queries.queries, catalog)}
    return typos | {"no lexical match": no_lexical_match(queries, lexical)} | language_slices(queries.queries)


def _frozen_encoder(settings: Settings, catalog: Catalog, cache: Path) -> tuple[VectorScores | None, *tuple[str, ...]]:
    """Return the scores of the encoder as pretrained; None and a note where torch, which reads it, is not installed."""
    try:
        from features.text.encoder import TextEncoder
        from features.text.state_cache import cached_states
    except ImportError:
        return None, "the encoder as pretrained is left out: it needs torch, see docs/installation.md"
    encoder, texts = TextEncoder.pretrained(settings.encoder), item_texts(catalog)
    distinct = texts.unique(maintain_order=True)
    text_of = texts.replace_strict(distinct, np.arange(len(distinct)), return_dtype=pl.Int64).to_numpy()
    vectors = encoder.pool(cached_states(encoder, distinct.to_list(), cache, terminal_progress))
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return (VectorScores(lambda some: encoder.encode(some, "query"), vectors, text_of),)
