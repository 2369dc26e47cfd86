"""`recsys` with the cross-encoder in use for every answer, even if the residual booster is idle."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ranking.ranker import GBDTRanker
from recsys.cli.main import main
from recsys.recommend.components import Components

if TYPE_CHECKING:
    from recsys.artifacts.model import ServedModel


def _ranker(engine: Components) -> GBDTRanker | None:
    model: ServedModel = engine.model  # pyright: ignore[reportAssignmentType]
    parts, snapshot = model.ranking, engine.snapshot
    if parts is None:
        return None
    return GBDTRanker(snapshot.stats, parts.base, parts.residual, parts.cross_encoder, snapshot.tokens, parts.calibration)


# At module level, because worker processes import this module without running it.
Components.ranker = cached_property(_ranker)
Components.ranker.__set_name__(Components, "ranker")

if __name__ == "__main__":
    main()
