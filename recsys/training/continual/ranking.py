"""A ranking that goes on from that of an earlier model: the base booster gains trees, and the calibration is fitted again.

A cross-encoder that the earlier residual booster does not read stays as it is. One that it reads is trained on, and the residual
booster is fitted again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from features.text.token_states import ItemTokens
from ranking.calibration import Calibration
from ranking.cross_encoder.distillation import taught
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.trainer import fit_cross_encoder
from ranking.gbdt import CROSS_ENCODER, continue_base
from recsys.artifacts.ranking import Ranking
from recsys.training.few_buyers.text_parts import text_parts
from recsys.training.job import RankingData
from recsys.training.ranking import fit_residual_and_calibration, rerankable, window_candidates

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from recsys.training.continual.towers import ContinuedTexts
    from recsys.training.job import TrainingJob


def continue_ranking(
    job: TrainingJob, before: Ranking, texts: ContinuedTexts, work: Path, device: torch.device
) -> tuple[Ranking, dict[str, Any]]:
    """Fit what the newest windows can change.

    Parameters
    ----------
    before : of the earlier model.
    work : folder of checkpoints.

    Returns
    -------
    ranking : the fitted parts.
    report : the facts for the model card that have changed. What the towers earn is not measured again: there is no base booster
        that has gone on without their scores.
    """
    settings, windows, models = job.settings, job.windows, texts.models
    late = window_candidates(job, models, windows.late)
    newest = window_candidates(job, models, windows.calibration, settings.cross_encoder.users)
    base = continue_base(before.base, [pairs.labelled for pairs in late.parts], settings.gbdt, job.seed, settings.continual.rounds)
    valid = newest.pairs.candidates.valid
    report: dict[str, Any] = {
        "candidates_hold": round(newest.recall, 4),
        "calibration_pairs": int(valid.sum()),
        "calibration_bought": int(newest.pairs.labels.sum()),
    }
    if before.residual.idle and texts.same_states:
        calibration = Calibration.fit(base.log_odds(newest.pairs.candidates)[valid], newest.pairs.labels[valid])
        return Ranking(base, before.residual, before.cross_encoder, calibration), report
    tokens = ItemTokens(models.states, models.text_of)
    fitting = before.cross_encoder if texts.same_states else CrossEncoder.upon(models.encoder, settings.cross_encoder)
    cross_encoder = fitting.to(device)
    best = rerankable(late, base, settings)
    losses = fit_cross_encoder(cross_encoder, taught(best, settings.cross_encoder), tokens, work, job.seed, job.progress)
    second = window_candidates(job, models, windows.correction, settings.cross_encoder.users)
    data = RankingData(late.parts, second.pairs, newest.pairs, tokens, settings, job.seed, second.few, newest.few)
    residual, calibration = fit_residual_and_calibration(base, cross_encoder, data)
    gain = float(np.asarray(residual.gain())[residual.names.index(CROSS_ENCODER)])
    ranking = Ranking(base, residual, cross_encoder, calibration)
    report |= {"cross_encoder_loss": [round(loss, 4) for loss in losses], "cross_encoder_gain": round(gain, 1)}
    return ranking, report | {"text_parts": text_parts(ranking, None, data)}
