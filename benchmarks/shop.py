"""The shop of most programs here: Complete Journey, cut four weeks before its end, as in `recsys demo`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.split import Split
from features.ingest.source import Source
from features.ingest.table_store import is_ingested
from recsys.artifacts.model import Model
from recsys.offline.evaluate import evaluation_cut
from recsys.recommend.open import open_recommender
from recsys.refresh.build import build
from recsys.settings.settings import load_settings
from recsys.training.find_or_train import find_or_train
from recsys.training.options import TrainOptions
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from recsys.recommend.pipeline import Recommender
    from recsys.settings.settings import Settings


@dataclass(frozen=True)
class Bench:
    """The recommender at the cut, and the purchases after it.

    Attributes
    ----------
    model : Model
        The PyTorch model from which the recommender's networks were exported.
    """

    workspace: Workspace
    settings: Settings
    split: Split
    recommender: Recommender
    model: Model

    def truth(self, users: int, seed: int = 0) -> GroundTruth:
        """Return the ground truth of randomly drawn users with purchases after the cut."""
        return GroundTruth.of(self.split, users, seed)

    def ndcg(self, rows: np.ndarray, truth: GroundTruth) -> np.ndarray:
        """Return NDCG@10 of lists (b, 10) for the users of `truth`, float (b,)."""
        return ndcg(rows, truth.bought, 10)

    def with_cross_encoder(self) -> Recommender:
        """Return the recommender with the cross-encoder in use, even if the residual booster is idle."""
        parts, ranker = self.recommender.model.ranking, self.recommender.ranker
        assert parts is not None
        assert ranker is not None
        recommender = replace(self.recommender)
        vars(recommender)["ranker"] = replace(ranker, cross_encoder=parts.cross_encoder)
        return recommender


def bench() -> Bench:
    """Open the shop in the folder of `--workspace`; ingest, train and build what is missing, which takes minutes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    workspace, settings = Workspace(parser.parse_known_args()[0].workspace), load_settings()
    if not is_ingested(workspace.data):
        workspace.ingest(Source(dataset="completejourney"))
    catalog, log = workspace.load(settings.events)
    split = Split.by_time(log, evaluation_cut(log))
    model, _ = find_or_train(workspace, workspace.models, settings, TrainOptions(), (catalog, log), split.cut)
    # `with_cross_encoder` needs the token states even where the model's answers do not.
    Model.reads_states = property(lambda model: model.ranking is not None)  # pyright: ignore[reportAttributeAccessIssue]
    build(workspace, settings, model, catalog, split.history)
    return Bench(workspace, settings, split, open_recommender(workspace), model)
