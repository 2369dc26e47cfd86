"""What the trials of each stage compute: functions of settings and of the checkpoints in a folder, on validation windows.

The towers' windows and those of the ranking lie before the test's cut, see `recsys.training.windows.Windows`. The towers are
judged on their validation window, as in every training. The ranking's parts are fitted on what `recsys.training.ranking.fit_ranking`
fits them on, lists of items with few buyers included, but for fewer users. The base booster is judged on the two windows that it
is not fitted on, and the cross-encoder on the last one, whose labels the calibration alone sees, and a calibration changes no
order. The main list alone judges: lists of items with few buyers only train.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.lists import ndcg
from features.text.token_states import ItemTokens
from ranking.cross_encoder.distillation import taught
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.trainer import fit_cross_encoder
from ranking.gbdt import fit_base, fit_booster
from ranking.ranker import GBDTRanker, order_by_base
from recsys.offline.tuning.search_space import with_values
from recsys.offline.tuning.wide_candidates import JudgedWindow
from recsys.training.job import RankingData
from recsys.training.ranking import fit_residual_and_calibration, rerankable
from recsys.training.towers import fit_text_models

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from ranking.cross_encoder.trainer import TrainingPairs
    from ranking.gbdt import Booster
    from recsys.offline.tuning.search_space import Value, Values
    from recsys.offline.tuning.trials import StepReport
    from recsys.settings.settings import Settings
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels
    from retrieval.candidates import Candidates

K = 10  # of the NDCG
QUARTER = 4  # the first step of a ranking trial is fitted on one user in so many


@dataclass(frozen=True)
class TuningShop:
    """What all trials share.

    Attributes
    ----------
    job : the training until the test's cut with the current settings.
    cache : folder of token states.
    users : users a window in the trials of the ranking.
    """

    job: TrainingJob
    device: torch.device
    cache: Path
    users: int

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self.job.settings

    def with_values(self, values: Mapping[str, Value]) -> TrainingJob:
        """Return the job with other values of some keys."""
        return replace(self.job, settings=with_values(self.settings, values))


@dataclass(frozen=True)
class TowersObjective:
    """NDCG@10 of the towers alone on their validation window, by the best epoch."""

    shop: TuningShop

    def __call__(self, values: Values, folder: Path, report: StepReport) -> float:
        """Train towers; see `recsys.offline.tuning.trials.TrialObjective`."""
        job = self.shop.with_values(values)
        first_text = job.settings.train.epochs

        def on_epoch(phase: str, epoch: int, figures: Mapping[str, float]) -> None:
            report(epoch + (first_text if phase == "text" else 0), figures["validation_ndcg"])

        models = fit_text_models(replace(job, on_epoch=on_epoch), self.shop.device, folder, self.shop.cache)
        return max(models.report["validation_ndcg@10"])


@dataclass(frozen=True)
class RankingObjective:
    """NDCG@10 of the base booster's order on the two windows that it is not fitted on, over trained towers.

    Attributes
    ----------
    widest : the highest quota of each source in the search.
    towers : values of the towers' keys, and the folder with their checkpoints.
    """

    shop: TuningShop
    widest: Values
    towers: tuple[Values, Path]

    @cached_property
    def models(self) -> TextModels:
        """The towers."""
        values, folder = self.towers
        return fit_text_models(self.shop.with_values(values), self.shop.device, folder, self.shop.cache)

    @cached_property
    def windows(self) -> dict[str, JudgedWindow]:
        """The candidates of each window, by its name."""
        job, users = self.shop.with_values(self.widest), self.shop.users
        names = ("early", "late", "correction", "calibration")
        return {name: JudgedWindow.of(job, self.models, getattr(job.windows, name), users) for name in names}

    def __call__(self, values: Values, folder: Path, report: StepReport) -> float:
        """Fit the base booster, first on a part of the users; see `recsys.offline.tuning.trials.TrialObjective`."""
        settings = with_values(self.shop.settings, values)
        part = [pairs.take(np.arange(0, len(pairs.labels), QUARTER)).labelled for pairs in self._parts(settings) if len(pairs.labels)]
        report(0, float(np.nanmean(self.judged(settings, fit_booster(part, settings.gbdt, self.shop.job.seed)))))
        return float(np.nanmean(self.per_user(values)))

    def per_user(self, values: Mapping[str, Value]) -> np.ndarray:
        """Return the NDCG@10 of each user of the two windows, nan for users without a relevant item."""
        settings = with_values(self.shop.settings, values)
        return self.judged(settings, self.base(settings))

    def base(self, settings: Settings) -> Booster:
        """Fit the base booster as a training does."""
        windows = [self.windows[name].narrowed(settings.retrieval) for name in ("correction", "calibration")]
        later = [pairs.labelled for window in windows for pairs in window.judged]
        return fit_base([pairs.labelled for pairs in self._parts(settings)], later, settings.gbdt, self.shop.job.seed).booster

    def judged(self, settings: Settings, base: Booster) -> np.ndarray:
        """Return the NDCG@10 of each user of the two windows in the order of a base booster."""
        out = []
        for name in ("correction", "calibration"):
            window = self.windows[name]
            candidates = window.allowed(window.users.narrowed(settings.retrieval).candidates)
            out.append(ndcg(order_by_base(candidates, base).rows[:, :K], window.relevant, K))
        return np.concatenate(out)

    def _parts(self, settings: Settings) -> list[TrainingPairs]:
        return [pairs for name in ("early", "late") for pairs in self.windows[name].narrowed(settings.retrieval).parts]


@dataclass(frozen=True)
class ReadingObjective:
    """NDCG@10 of the whole ranking on the last window: base booster, cross-encoder and residual booster.

    Attributes
    ----------
    ranking : windows and towers.
    chosen : values of the ranking's keys.
    """

    ranking: RankingObjective
    chosen: Values

    @cached_property
    def base(self) -> Booster:
        """The base booster with the chosen settings."""
        return self.ranking.base(with_values(self.ranking.shop.settings, self.chosen))

    def __call__(self, values: Values, folder: Path, report: StepReport) -> float:
        """Train a cross-encoder; see `recsys.offline.tuning.trials.TrialObjective`."""
        return float(np.nanmean(self.per_user(values, folder, report)))

    def per_user(self, values: Mapping[str, Value], folder: Path, report: StepReport) -> np.ndarray:
        """Return the NDCG@10 of each user of the last window, nan for users without a relevant item."""
        shop, windows, models = self.ranking.shop, self.ranking.windows, self.ranking.models
        settings = with_values(shop.settings, {**self.chosen, **values})
        early, second, third = (windows[name].narrowed(settings.retrieval) for name in ("early", "correction", "calibration"))
        tokens = ItemTokens(models.states, models.text_of)
        model = CrossEncoder.upon(models.encoder, settings.cross_encoder).to(shop.device)
        best = rerankable(early, self.base, settings)
        fit_cross_encoder(model, taught(best, settings.cross_encoder), tokens, folder, shop.job.seed)
        data = RankingData((), second.pairs, third.pairs, tokens, settings, shop.job.seed, second.few, third.few)
        residual, calibration = fit_residual_and_calibration(self.base, model, data)
        reader = None if residual.idle else model
        ranker = GBDTRanker(None, self.base, residual, reader, tokens, calibration)  # pyright: ignore[reportArgumentType]
        return _ndcg(ranker.order(windows["calibration"].allowed(third.pairs.candidates)), windows["calibration"])


def _ndcg(ranked: Candidates, window: JudgedWindow) -> np.ndarray:
    return ndcg(ranked.rows[:, :K], window.relevant, K)
