"""Ranks what a search found: relevance, what the search log says, what sells, and what the user prefers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from features.names import (
    BUYERS_28,
    BUYERS_EVER,
    DENSE_SCORE,
    ITEM_PRICE,
    LEXICAL_SCORE,
    LOG_CLICKS,
    LOG_ODDS,
    PAIR_LOGIT,
    PREFERENCE,
    RELEVANCE,
    RELEVANCE_SHARE,
    SALES,
    SALES_EVER,
)
from ranking import gbdt
from ranking.calibration import Calibration
from ranking.lightgbm_import import lightgbm
from retrieval.candidates import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.behavior.item_stats import ItemStats
    from features.data.histories import Histories
    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.config import PairConfig
    from ranking.cross_encoder.query_item import QueryTokens
    from ranking.gbdt import Booster
    from retrieval.candidates import Candidates, Ranker
    from retrieval.hybrid import HybridRetriever

# Features of the booster. More of each makes an item no less likely; only the price may go either way.
RISING = (RELEVANCE_SHARE, LEXICAL_SCORE, DENSE_SCORE, PAIR_LOGIT, LOG_CLICKS, SALES, SALES_EVER, PREFERENCE)
FEATURES = (*RISING, ITEM_PRICE)
BOOSTER = "search"
ROUNDS = 150
UNTRAINED = {RELEVANCE_SHARE: 4.0, LOG_CLICKS: 20.0, SALES: 0.1}  # weights without a trained booster
BATCH = 32  # lists whose candidates are scored by the recommender at once
NEAR = 0.85  # share of the best relevance from which items compete; all others come after them, by relevance
BEHIND = 100.0  # log odds


def with_search_features(candidates: Candidates, stats: ItemStats, prices: np.ndarray) -> Candidates:
    """Return the candidates with the features that `RISING` and `FEATURES` name, but for those of earlier stages."""
    rows = np.maximum(candidates.rows, 0)
    columns = {
        RELEVANCE_SHARE: _relevance(candidates) / _best_relevance(candidates),
        SALES: np.log1p(stats.columns[BUYERS_28][rows]),
        SALES_EVER: np.log1p(stats.columns[BUYERS_EVER][rows]),
        ITEM_PRICE: np.log1p(prices[rows]),
    }
    names = (LOG_CLICKS, PREFERENCE, LEXICAL_SCORE, DENSE_SCORE, PAIR_LOGIT)
    columns |= {name: np.full(rows.shape, np.nan) for name in names if name not in candidates.features}
    return replace(candidates, features=candidates.features | {name: column.astype(np.float32) for name, column in columns.items()})


def _relevance(candidates: Candidates) -> np.ndarray:
    """Return the relevance of candidates, float32 (b, k); lists without candidates have no such feature."""
    return candidates.features.get(RELEVANCE, np.ones(candidates.rows.shape, dtype=np.float32))


def _best_relevance(candidates: Candidates) -> np.ndarray:
    """Return the best relevance of each query, above 0, float32 (b, 1); candidates that only a rule added have none."""
    return np.max(np.where(candidates.valid, np.nan_to_num(_relevance(candidates)), 0), axis=1, keepdims=True, initial=1e-6)


@dataclass(frozen=True)
class SearchRanker:
    """Orders candidates of a query; implements `retrieval.candidates.Ranker`.

    Attributes
    ----------
    booster : None for an untrained model: a fixed mix.
    calibration : of the booster's log odds; None if scores are no probabilities.
    """

    booster: Booster | None = None
    calibration: Calibration | None = None

    def rank(self, candidates: Candidates) -> Candidates:
        """Return candidates that have their features, best first; scores are log odds, or the fixed mix times the best relevance."""
        share = np.nan_to_num(candidates.features[RELEVANCE_SHARE])
        if self.booster is not None:
            odds = self.booster.log_odds(candidates)
            return candidates.ranked(np.where(share >= NEAR, odds, odds - BEHIND * (2 - share)))
        mixed = sum(weight * np.nan_to_num(candidates.features[name]) for name, weight in UNTRAINED.items())
        level = _best_relevance(candidates)  # keeps the order, and tells a query that something fits from one that nothing does
        return candidates.ranked(np.where(candidates.valid, mixed * level, -np.inf))

    def probabilities(self, ranked: Candidates) -> np.ndarray | None:
        """Return the probability that whoever searches buys the candidate, float32 (b, k); None without a calibration.

        It is nan for candidates far from the query.
        """
        if self.calibration is None:
            return None
        near = ranked.valid & (ranked.features[RELEVANCE_SHARE] >= NEAR)  # the others' scores are no log odds
        return np.where(near, self.calibration(ranked.scores), np.nan).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        """Return the booster in LightGBM's format and the calibration as JSON."""
        if self.booster is None or self.calibration is None:
            return {}
        return gbdt.to_files(self.booster, BOOSTER) | self.calibration.to_files()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> SearchRanker:
        """Read the files that `to_files` wrote."""
        if f"{BOOSTER}.0.txt" not in files:
            return cls()
        return cls(gbdt.from_files(files, BOOSTER), Calibration.from_files(files))


def with_pair_logits(candidates: Candidates, model: QueryPairScorer | None, queries: QueryTokens, tokens: ItemTokens | None) -> Candidates:
    """Add the cross-encoder's logit of each query's most relevant texts to all candidates that have them.

    It is nan for candidates with other texts, and everywhere without a model.
    """
    logits = np.full(candidates.rows.shape, np.nan, dtype=np.float32)
    if model is not None and tokens is not None and candidates.rows.size:
        text = np.where(candidates.valid, tokens.text_of[np.maximum(candidates.rows, 0)], -1)
        best = np.argsort(-np.where(candidates.valid, candidates.features[RELEVANCE], -np.inf), axis=1, kind="stable")
        rows = np.full((len(text), model.config.rerank_depth), -1, dtype=np.int64)
        for b, order in enumerate(best):
            first = np.sort(np.unique(text[b, order], return_index=True)[1])  # of each text, in the order of relevance
            read = candidates.rows[b, order[first]][: rows.shape[1]]
            rows[b, : len(read)] = read
        found = model.logits(queries, rows, tokens)
        read = np.where(rows >= 0, tokens.text_of[np.maximum(rows, 0)], -2)
        for place in range(rows.shape[1]):
            logits = np.where(text == read[:, place, None], found[:, place, None], logits)
    return replace(candidates, features=candidates.features | {PAIR_LOGIT: logits})


def preferences(candidates: Candidates, retriever: HybridRetriever, ranker: Ranker | None, n_items: int) -> np.ndarray:
    """Return the log odds that each user buys a candidate, as the recommender ranks it among these alone, float32 (b, k).

    They are nan for users without history, for padding, and everywhere without a ranker.
    """
    odds = np.full(candidates.rows.shape, np.nan, dtype=np.float32)
    if ranker is None:
        return odds
    known = np.flatnonzero((candidates.users.lengths > 0) & candidates.valid.any(axis=1))
    for start in range(0, len(known), BATCH):
        some = known[start : start + BATCH]
        # The same object where it is everybody: what the models compute of these users is kept for the reasons.
        users = candidates.users if len(some) == len(odds) else candidates.users.take(some)
        odds[some] = _log_odds(candidates.rows[some], users, retriever, ranker, n_items)
    return odds


def _log_odds(rows: np.ndarray, users: Histories, retriever: HybridRetriever, ranker: Ranker, n_items: int) -> np.ndarray:
    allowed = np.zeros((len(rows), n_items), dtype=bool)
    user, place = np.nonzero(rows >= 0)
    allowed[user, rows[user, place]] = True
    ranked = ranker.rank(retriever.retrieve(users, rows.shape[1], allowed))
    dense = np.full(allowed.shape, np.nan, dtype=np.float32)
    user, place = np.nonzero(ranked.valid)
    dense[user, ranked.rows[user, place]] = ranked.features[LOG_ODDS][user, place]
    return np.where(rows >= 0, np.take_along_axis(dense, np.maximum(rows, 0), axis=1), np.nan)


class QueryPairScorer(Protocol):
    """Scores pairs of a query and an item by their texts."""

    @property
    def config(self) -> PairConfig:
        """Sizes of the input."""
        ...

    def logits(self, left: QueryTokens, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Return the logits of candidates `rows` (b, c), float32 (b, c); nan for padding."""
        ...


@dataclass(frozen=True)
class LabelledLists:
    """What the booster is fitted on.

    Attributes
    ----------
    candidates : with all features.
    labels : bool (n, k).
    weights : float32 (n, k); 0 leaves a candidate out.
    """

    candidates: Candidates
    labels: np.ndarray
    weights: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[LabelledLists]) -> Self:
        """Concatenate the lists of several sources."""
        candidates = joined([part.candidates for part in parts])
        width = candidates.rows.shape[1]

        def padded(array: np.ndarray) -> np.ndarray:
            return np.pad(array, ((0, 0), (0, width - array.shape[1])))

        labels, weights = [padded(part.labels) for part in parts], [padded(part.weights) for part in parts]
        return cls(candidates, np.concatenate(labels), np.concatenate(weights))


def fit_search_booster(data: LabelledLists, lists: np.ndarray, seed: int, *, pairs: bool) -> Booster:
    """Fit the booster.

    Parameters
    ----------
    lists : which lists are fitted on, bool (n,).
    pairs : whether it reads the cross-encoder's logits.
    """
    lgb = lightgbm()
    candidates, names = data.candidates, [name for name in FEATURES if pairs or name != PAIR_LOGIT]
    used = lists[:, None] & candidates.valid & (data.weights > 0)
    x = np.stack([candidates.features[name][used] for name in names], axis=1)
    parameters = {
        "objective": "binary",
        "learning_rate": 0.08,
        "num_leaves": 15,
        "min_child_samples": max(1, min(100, len(x) // 100)),
        "lambda_l2": 10.0,
        "feature_fraction": 0.8,
        "monotone_constraints": [int(name in RISING) for name in names],
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    table = lgb.Dataset(x, data.labels[used].astype(np.float32), weight=data.weights[used], feature_name=names)
    return gbdt.Booster((lgb.train(parameters, table, ROUNDS),), tuple(names))
