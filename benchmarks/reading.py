"""`recsys` with the cross-encoder in use for every answer, even if the residual booster is idle."""

from __future__ import annotations

from features.errors import BundleError
from ranking.ranker import GBDTRanker
from recsys.cli.main import main
from recsys.recommend.components import Components


def _ranker(engine: Components) -> GBDTRanker | None:
    parts, snapshot = engine.model.ranking, engine.snapshot
    if parts is None:
        return None
    if snapshot.tokens is None:  # the first answer would say so, once the service has begun
        raise BundleError(f"bundle {engine.bundle_id} has no token states, because its cross-encoder is idle: there is nothing to read")
    return GBDTRanker(snapshot.stats, parts.base, parts.residual, parts.cross_encoder, snapshot.tokens, parts.calibration)


# At module level, because worker processes import this module without running it.
vars(Components)["ranker"].func = _ranker

if __name__ == "__main__":
    main()
