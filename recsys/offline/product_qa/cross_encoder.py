"""The cross-encoder on graded questions: training per fold and seed, and its mix with the fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.numpy import load, save

from features.storage.digests import of_json
from features.text.token_states import ItemTokens
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.query_item import QueryTokens
from ranking.cross_encoder.trainer import GradedPairs, fit_cross_encoder
from recsys.artifacts.job_cache import read_files, write_files
from recsys.progress import terminal_progress
from recsys.training.pipeline import MODEL_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from features.text.encoder import TextEncoder
    from ranking.cross_encoder.config import QuestionPairConfig
    from recsys.offline.product_qa.dataset import ProductQa


@dataclass(frozen=True)
class PairTraining:
    """Trains cross-encoders on the questions outside a fold, and keeps their logits on disk.

    Attributes
    ----------
    folder : for logits and checkpoints.
    """

    data: ProductQa
    encoder: TextEncoder
    config: QuestionPairConfig
    device: torch.device
    folder: Path

    def logits(self, fold: int, seed: int) -> np.ndarray:
        """Return the logit of each pair that the fold judges or holds out, float32 (p,); nan elsewhere."""
        facts = {"data": self.data.digest, "folds": int(self.data.fold.max()), "encoder": self.encoder.fingerprint}
        facts |= {"version": MODEL_VERSION, "config": self.config.model_dump(), "fold": fold, "seed": seed}
        place = self.folder / f"cross-encoder-{of_json(facts)[:16]}"
        if not place.is_dir():
            write_files(place, {"logits.safetensors": save({"logits": self._trained(fold, seed, place.with_suffix(".training"))})})
        return load(read_files(place)["logits.safetensors"])["logits"]

    def _trained(self, fold: int, seed: int, work: Path) -> np.ndarray:
        data = self.data
        lower = self.encoder.with_upper_layers(self.config.layers)
        passages = ItemTokens.of_texts(lower.token_states(data.passages))
        questions = lower.token_states(data.questions, kind="query")
        queries = QueryTokens(questions, data.question[data.offsets[:-1]])
        trains = data.trains(fold) & ~data.held_out
        # A question whose passages are all relevant, or none, says nothing about their order.
        both = np.logical_or.reduceat(~data.relevant, data.offsets[:-1]) & data.answered
        weights = (trains & both)[data.of].astype(np.float32)
        pairs = GradedPairs(queries, data.of, data.passage, data.relevant.astype(np.float32), weights)
        torch.manual_seed(seed)
        model = CrossEncoder.upon(lower, self.config).to(self.device)
        fit_cross_encoder(model, pairs, passages, work, seed, terminal_progress)
        out = np.full(len(data.question), np.nan, dtype=np.float32)
        scored = np.flatnonzero(data.judged(fold) | (data.trains(fold) & data.held_out))
        sizes = np.diff(data.offsets)[scored]
        rows = np.full((len(scored), sizes.max(initial=0)), -1, dtype=np.int64)
        real = np.arange(rows.shape[1])[None, :] < sizes[:, None]
        chosen = np.isin(data.of, scored)
        rows[real] = data.passage[chosen]
        out[chosen] = model.logits(queries.take(scored), rows, passages)[real]
        return out


def mixed(data: ProductQa, logits: np.ndarray, fusion: np.ndarray, fold: int) -> tuple[np.ndarray, dict[str, float]]:
    """Mix the cross-encoder's logits with the fusion by logistic regression on the held-out training questions.

    Returns
    -------
    scores : float64 (p,).
    weights : of the logit and of the fusion.
    """
    from sklearn.linear_model import LogisticRegression

    columns = np.stack([logits.astype(float), fusion], axis=1)
    held = (data.trains(fold) & data.held_out & data.answered)[data.of]
    model = LogisticRegression().fit(columns[held], data.relevant[held])
    weights = model.coef_[0]
    return columns @ weights, {"logit": float(weights[0]), "fusion": float(weights[1])}
