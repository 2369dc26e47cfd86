"""The baselines of search, each with its best settings: BM25, the encoder as pretrained, popularity, own purchases, and their mixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.search.mixes import TIES, Mix, own_purchases, popularity

if TYPE_CHECKING:
    from eval.search.mixes import Scores
    from eval.search.query_set import QuerySet
    from eval.search.text_scores import LexicalScores
    from features.data.interactions import Interactions

BM25, ENCODER, POPULARITY, OWN = "bm25", "encoder", "popularity", "own"
_SHARES = tuple(round(0.1 * i, 1) for i in range(11))
_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
_FEW = (0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Moment:
    """A time with the log that ends there."""

    history: Interactions
    cut: int


@dataclass(frozen=True)
class SearchBaselines:
    """What the baselines are made of.

    Attributes
    ----------
    lexical : BM25
    encoder : cosines of the encoder as pretrained; None leaves it out
    """

    lexical: LexicalScores
    encoder: Scores | None = None

    def tuned(self, queries: QuerySet, then: Moment, now: Moment) -> dict[str, Mix]:
        """Return the baselines at `now`, with the settings that are best on queries asked at an earlier time.

        The mixes: `bm25`; `bm25_then_popular`, in which popularity decides between equals alone; `bm25_and_popular`; `encoder`;
        `bm25_and_encoder`; and where known users ask, `bm25_own_and_popular`, which knows how often the user bought the item.

        Parameters
        ----------
        then : when these queries were asked. It may be `now` itself: then the baselines are the best that these settings can be.
        """
        lexical = self.lexical.tuned(queries)
        before, after = self._scores(lexical, then), self._scores(lexical, now)
        sells = bool(len(then.history))
        out = {"bm25": Mix(after, {BM25: 1.0})}
        if sells:
            out["bm25_then_popular"] = Mix(after, {BM25: 1.0, POPULARITY: TIES})
            grid = [{POPULARITY: weight} for weight in _WEIGHTS]
            out["bm25_and_popular"] = Mix(after, Mix(before, {BM25: 1.0}).tuned(grid, queries).weights)
        if self.encoder is not None:
            out["encoder"] = Mix(after, {ENCODER: 1.0}, (ENCODER,))
            grid = [{BM25: round(1 - share, 1), ENCODER: share} for share in _SHARES]
            both = (BM25, ENCODER)
            out["bm25_and_encoder"] = Mix(after, Mix(before, {BM25: 1.0}, both).tuned(grid, queries).weights, both)
        if sells and any(user is not None for user in queries.users):
            grid = [{OWN: own, POPULARITY: sold} for own in _FEW for sold in (0.0, *_FEW)]
            out["bm25_own_and_popular"] = Mix(after, Mix(before, {BM25: 1.0}).tuned(grid, queries).weights)
        return out

    def _scores(self, lexical: LexicalScores, at: Moment) -> dict[str, Scores]:
        scores: dict[str, Scores] = {
            BM25: lexical,
            POPULARITY: popularity(at.history, at.cut),
            OWN: own_purchases(at.history, at.cut),
        }
        return scores | ({} if self.encoder is None else {ENCODER: self.encoder})


def settings_of(baselines: dict[str, Mix]) -> dict[str, dict[str, float]]:
    """Return the settings of each baseline, for the report."""

    def of(mix: Mix) -> dict[str, float]:
        lexical = mix.scores[BM25]
        config = getattr(getattr(lexical, "index", None), "config", None)
        weights = {name: weight for name, weight in mix.weights.items() if weight}
        return weights | ({"k1": config.k1, "b": config.b} if config is not None and BM25 in weights else {})

    return {name: of(mix) for name, mix in baselines.items()}
