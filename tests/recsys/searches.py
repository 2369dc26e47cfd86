"""One search, as the command line and the service do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions

if TYPE_CHECKING:
    from recsys.apps.search.answers import SearchAnswer
    from recsys.recommend.pipeline import Recommender


def search(recommender: Recommender, text: str, k: int = 10, **options: Any) -> SearchAnswer:
    """What an unknown visitor finds."""
    return Search(recommender).answer(SearchOptions(k=k, **options), [(text, None)])[0]
