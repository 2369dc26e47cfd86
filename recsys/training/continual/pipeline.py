"""Training of a model that goes on from an earlier one; what each part has seen stays out of the windows of those after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from features.errors import ModelError
from recsys.training.continual.ranking import continue_ranking
from recsys.training.continual.towers import continue_text_models
from recsys.training.pipeline import Fitted, FittedReviews, FittedSearch, assemble, review_inputs, search_inputs
from recsys.training.reviews import fit_reviews
from recsys.training.search import fit_search
from recsys.training.windows import moment

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from recsys.artifacts.model import Model
    from recsys.artifacts.ranking import Ranking
    from recsys.training.continual.parent import Parent
    from recsys.training.continual.towers import ContinuedTexts
    from recsys.training.job import TrainingJob


def continue_model(parent: Parent, job: TrainingJob, device: torch.device, work: Path, cache: Path) -> Model:
    """Fit a model that goes on from `parent`, see `recsys.training.pipeline.train_model`.

    Raises
    ------
    ModelError
        If the parent has no ranking.
    """
    before = parent.model
    if before.ranking is None:
        raise ModelError(f"model {parent.name} is untrained, expected one of `recsys train`: run `recsys train --from-scratch`")
    texts = continue_text_models(job, before, parent.since, device, (work, cache))
    ranking, changed = continue_ranking(job, before.ranking, texts, work, device)
    search, search_kept = _search(job, parent, texts, ranking, work)
    reviews, reviews_kept = _reviews(job, parent, texts)
    kept = [name for name, same in (("search", search_kept), ("reviews", reviews_kept)) if same]
    kept += [] if "cross_encoder_loss" in changed else ["cross-encoder"]
    about = {
        "parent": parent.name,
        "until": parent.about["until"],
        "generation": parent.generation + 1,
        "new_since": moment(parent.since),
        "kept": kept,
        "settings": job.settings.continual.of_training(),
    }
    fitted = Fitted(texts.models, ranking, _report(parent, changed), search, reviews)
    model = assemble(job, fitted, device, work)
    return replace(model, about=model.about | {"continued": about})


def _report(parent: Parent, changed: dict[str, Any]) -> dict[str, Any]:
    """Return the facts on the ranking; "measured_by" names for each part whose figures were taken over the model that they are of."""
    before = parent.about["ranking"]
    taken_over = ("towers",) if "text_parts" in changed else ("towers", "cross-encoder")
    measured_by = {part: before.get("measured_by", {}).get(part, parent.name) for part in taken_over}
    parts = before["text_parts"] | changed.get("text_parts", {})
    return before | changed | {"text_parts": parts, "measured_by": measured_by}


def _search(job: TrainingJob, parent: Parent, texts: ContinuedTexts, ranking: Ranking, work: Path) -> tuple[FittedSearch, bool]:
    """Return the parts of search, and whether they are those of the parent."""
    before, now = parent.model, search_inputs(job, texts.models)
    stored = parent.about["inputs"]["search"]
    if texts.same_states and not _grown(now, stored, job.settings.continual.grown):
        return FittedSearch(before.search, before.pairs, parent.about["search"], stored), True
    return FittedSearch(*fit_search(job, texts.models, ranking, work), now), False


def _reviews(job: TrainingJob, parent: Parent, texts: ContinuedTexts) -> tuple[FittedReviews, bool]:
    """Return what reads reviews, and whether it is the parent's."""
    before, now = parent.model, review_inputs(job)
    stored = parent.about["inputs"]["reviews"]
    if texts.same_states and not _grown(now, stored, job.settings.continual.grown):
        return FittedReviews(before.sentiment, before.polarity, parent.about["reviews"], stored), True
    return FittedReviews(*fit_reviews(job, texts.models.encoder), now), False


def _grown(now: dict[str, Any], then: dict[str, Any], limit: float) -> bool:
    """Return whether a table has grown or shrunk by more than a share, or a digest differs."""
    for name, value in now.items():
        if isinstance(value, int) and isinstance(then.get(name), int):
            if abs(value - then[name]) > limit * max(then[name], 1):
                return True
        elif value != then.get(name):
            return True
    return False
