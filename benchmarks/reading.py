"""`recsys` whose cross-encoder reads in every answer, whether or not it earns its place in the model."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ranking.ranker import GBDTRanker
from recsys.cli.main import main
from recsys.recommend.engine import Engine

if TYPE_CHECKING:
    from recsys.artifacts.model import ServedModel


def _ranker(engine: Engine) -> GBDTRanker | None:
    model: ServedModel = engine.model  # pyright: ignore[reportAssignmentType]
    parts, snapshot = model.ranking, engine.snapshot
    if parts is None:
        return None
    return GBDTRanker(snapshot.stats, parts.base, parts.residual, parts.cross_encoder, snapshot.tokens, parts.calibration)


# Not below: the worker processes import this module, and run nothing of it.
Engine.ranker = cached_property(_ranker)
Engine.ranker.__set_name__(Engine, "ranker")

if __name__ == "__main__":
    main()
