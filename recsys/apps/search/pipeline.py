"""The answer path of a search: read the query, retrieve, filter, rank, diversify, explain, answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.data.histories import Histories
from recsys.apps.search.answers import Hit, SearchAnswer, Suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.apps.search.request import SearchOptions
    from recsys.recommend.pipeline import Recommender
    from retrieval.candidates import Candidates


@dataclass(frozen=True)
class Search:
    """Answers queries over one recommender: its model, its snapshot and its blocklist."""

    recommender: Recommender

    def answer(self, options: SearchOptions, queries: Sequence[tuple[str, str | None]], recent: Histories | None = None) -> list[SearchAnswer]:
        """Answer each query (text, user), in order.

        Raises
        ------
        DataError: an item id, a brand or a category of the options is unknown.
        """
        group = SearchGroup(self, options, queries, recent)
        return group.present(group.rank(group.retrieve()))

    def suggest(self, prefix: str, n: int = 8) -> list[Suggestion]:
        """Complete what has been typed so far; at most n."""
        return []


@dataclass(frozen=True)
class SearchGroup:
    """Queries of one request with the stages that answer them; the same stages as `recsys.recommend.pipeline.RequestGroup`."""

    search: Search
    options: SearchOptions
    queries: Sequence[tuple[str, str | None]]
    recent: Histories | None = None

    @property
    def ranks(self) -> bool:
        """Whether there is a ranking stage that a late answer can do without."""
        return False

    def retrieve(self) -> Candidates:
        """Find candidates among the allowed items."""
        raise NotImplementedError

    def rank(self, candidates: Candidates) -> Candidates:
        """Order candidates by relevance and preference."""
        return candidates

    def unranked(self, candidates: Candidates) -> Candidates:
        """Keep the order of retrieval."""
        return candidates

    def present(self, best: Candidates, *, degraded: bool = False) -> list[SearchAnswer]:
        """Make one answer a query."""
        raise NotImplementedError
