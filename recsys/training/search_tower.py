"""Training of search's query side within the training of a model, and the weight of BM25."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrieval.lexical.fields import text_fields
from retrieval.query_tower.catalogue_pairs import pairs_of_catalogue
from retrieval.query_tower.held_out import HeldOutQueries
from retrieval.query_tower.pairs import FROM_LOG, KnownPositives, pairs_of_log
from retrieval.query_tower.trainer import QueryTraining, fit_query_tower
from retrieval.significance import significant_gain

if TYPE_CHECKING:
    from pathlib import Path

    from features.data.queries import Queries
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels
    from retrieval.query_tower.pairs import QueryPairs
    from retrieval.text_search import TextSearch, TextSearchConfig

NO_PAIRS = "nothing: no text has words"


@dataclass(frozen=True)
class FittedQueries:
    """How queries are matched with texts after training, and facts for the model card."""

    config: TextSearchConfig
    report: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """The report under its key in that of search."""
        return {"query_tower": self.report}


def fit_queries(
    job: TrainingJob, models: TextModels, search: TextSearch, before: Queries | None, work: Path, *, debiased: bool = True
) -> FittedQueries:
    """Train the queries' side of `models.query_tower` in place, and choose the weight of BM25 where there is a search log.

    Parameters
    ----------
    before : the search log that may be learned from; None without one.
    work : folder of checkpoints.
    """
    settings = job.settings.search
    pairs = _pairs(job, search, before, debiased=debiased)
    if pairs is None:
        return FittedQueries(search.config, {"learned_from": NO_PAIRS, "kept": False})
    choose = pairs.source == FROM_LOG and "lexical" not in settings.retrieval.model_fields_set
    if not settings.tower.steps and not choose:
        return FittedQueries(search.config, {"learned_from": "nothing: search.tower.steps is 0", "kept": False})
    report: dict[str, Any] = {"learned_from": pairs.source, "pairs": len(pairs), "kept": False}
    tower = models.query_tower
    states = models.encoder.token_states(pairs.queries, kind="query")
    held_out = HeldOutQueries.of(search, pairs, states)
    report["held_out_queries"] = len(held_out.rows)
    if settings.tower.steps and len(held_out.rows) > 1:
        known = KnownPositives.of(pairs, search.lexical)
        training = QueryTraining(
            pairs, known, states, search.vectors, search.lexical, held_out.reciprocal_ranks, work / "search", job.seed, job.progress
        )
        result = fit_query_tower(tower, training, settings.tower)
        report |= {"mrr_before": round(float(result.before.mean()), 4), "mrr_after": round(float(result.after.mean()), 4)}
        report["kept"] = result.kept
    if not choose:
        return FittedQueries(search.config, report)
    by_weight, default = held_out.by_lexical(tower), search.config.lexical
    means = {weight: float(ranks.mean()) if len(ranks) else 0.0 for weight, ranks in by_weight.items()}
    best = max(means, key=lambda weight: (means[weight], -abs(weight - default)))
    best = best if significant_gain(by_weight[best] - by_weight[default]) else default
    report |= {"lexical": best, "mrr_by_lexical": {str(weight): round(mrr, 4) for weight, mrr in means.items()}}
    return FittedQueries(search.config.model_copy(update={"lexical": best}), report)


def _pairs(job: TrainingJob, search: TextSearch, before: Queries | None, *, debiased: bool) -> QueryPairs | None:
    """Return pairs of the search log, or else of the catalogue."""
    found = None if before is None else pairs_of_log(before, search.text_of, search.lexical, debiased=debiased)
    if found is not None:
        return found
    first, text_of, _ = job.distinct_texts
    return pairs_of_catalogue(text_fields(job.catalog.frame, text_of, first), search.lexical, job.seed)
