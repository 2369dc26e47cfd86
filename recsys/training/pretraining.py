"""Pre-training of the text encoder on the shop, before the towers."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from torch import nn

from features.reviews.sentences import split_sentences
from retrieval.pretraining.pairs import RelatedTexts, TextPairs, catalogue_pairs, held_out_texts, pairs_together, review_pairs
from retrieval.pretraining.trainer import Pretraining, fit_upper_layers
from retrieval.significance import significant_gain
from retrieval.two_tower.model import TwoTower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from features.data.interactions import Interactions
    from features.text.encoder import TextEncoder
    from features.text.token_states import TokenStates
    from recsys.training.job import TrainingJob

REVIEWS_A_PAIR = 2  # reviews that are split into sentences, for each pair that is wanted
OFF, NO_PAIRS, NO_STATES = "pretrain.steps is 0", "the shop has too few pairs of texts", "the layers below are trained too"


@dataclass(frozen=True)
class ShopTexts:
    """The distinct texts of a catalogue and what is known of them before the towers' validation window.

    Attributes
    ----------
    first : an item of each text, int64 (t,).
    text_of : each item's text, int64 (n_items,).
    states : token states of the texts.
    log : over texts; ends where the validation window begins.
    """

    first: np.ndarray
    text_of: np.ndarray
    states: TokenStates
    log: Interactions


def pretrain(
    job: TrainingJob, encoder: TextEncoder, texts: ShopTexts, validate: Callable[[TwoTower, np.ndarray], float], work: Path
) -> dict[str, Any]:
    """Train the encoder's upper layers in place, and undo that unless two measures are better.

    One is the rank of held-out pairs, the other what untrained towers are worth on their validation window.

    Parameters
    ----------
    validate : the towers' validation metric of a tower and the vectors of all texts.
    work : folder of checkpoints.

    Returns
    -------
    dict
        Facts for the model card.
    """
    config = job.settings.pretrain
    if not config.steps:
        return {"kept": False, "why": OFF}
    before = copy.deepcopy(nn.ModuleList(encoder.upper_layers).state_dict())
    untrained = _untrained(job, encoder, texts.states, validate)
    pairs, together = _pairs(job, texts)
    positives = RelatedTexts.of(job.catalog.codes("category")[texts.first].astype(np.int64), together)
    held_out = held_out_texts(len(texts.first), job.seed)
    training = Pretraining(pairs, positives, held_out, texts.states, work / "pretraining", job.seed, job.progress)
    result = fit_upper_layers(encoder, training, config)
    if result is None:
        return {"kept": False, "why": NO_PAIRS}
    trained = _untrained(job, encoder, texts.states, validate)
    kept = earns(result.after - result.before, (untrained, trained))
    if not kept:
        nn.ModuleList(encoder.upper_layers).load_state_dict(before)
    return {
        "kept": kept,
        "pairs": result.pairs,
        "held_out_mrr": [round(float(ranks.mean()), 4) for ranks in (result.before, result.after)],
        "ndcg@10_of_untrained_towers": [round(untrained, 4), round(trained, 4)],
    }


def earns(gain: np.ndarray, untrained: tuple[float, float]) -> bool:
    """Return whether held-out pairs rank higher by more than chance, and untrained towers with it are better than without."""
    return significant_gain(gain) and untrained[1] > untrained[0]


def over_texts(log: Interactions, text_of: np.ndarray, n_texts: int) -> Interactions:
    """Return a log over distinct texts in the place of items."""
    return replace(log, item=text_of[log.item].astype(np.int32), n_items=n_texts)


def _pairs(job: TrainingJob, texts: ShopTexts) -> tuple[list[TextPairs], np.ndarray]:
    """Return all kinds of pairs, and the keys of what was bought together."""
    config, rng = job.settings.pretrain, np.random.default_rng([job.seed, 126])
    items = job.catalog.frame[texts.first]
    together, keys = pairs_together(texts.log, config.together_days, config.pairs, rng)
    kinds = [*catalogue_pairs(items), together]
    # With step times, the time of a review says nothing of the step that it belongs to.
    reviews = None if job.reviews is None or texts.log.ordinal else job.reviews.between(None, job.windows.validation.start)
    if reviews is not None and len(reviews):
        some = np.sort(rng.permutation(len(reviews))[: REVIEWS_A_PAIR * config.pairs])
        sentences = split_sentences(reviews.full_text.gather(some))
        drawn = sentences.group_by("review", maintain_order=True).agg(pl.col("sentence").first())
        kinds.append(review_pairs(items, texts.text_of[reviews.item[some[drawn["review"].to_numpy()]]], drawn["sentence"]))
    return kinds, keys


def _untrained(job: TrainingJob, encoder: TextEncoder, states: TokenStates, validate: Callable[[TwoTower, np.ndarray], float]) -> float:
    """Return the validation metric of towers before training: a user is what was bought, without any weights."""
    pooled = encoder.pool(states)
    tower = TwoTower(encoder.width, job.settings.tower)
    tower.start_from(pooled)
    return validate(tower.to(encoder.device).eval(), tower.item_vectors(pooled))
