"""What a shop's search log says of queries and items, counted for one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.text_search import count_clicks

if TYPE_CHECKING:
    from features.behavior.query_clicks import QueryClicks
    from features.ingest.erased_users import ErasedUsers
    from recsys.snapshot.snapshot import Snapshot
    from recsys.workspace.workspace import Workspace


def query_clicks(workspace: Workspace, snapshot: Snapshot, erased: ErasedUsers | None = None) -> QueryClicks:
    """Count the ingested search log over a snapshot's items; empty for a shop without one.

    Parameters
    ----------
    erased : users whose rows are left out, though the table still holds them.
    """
    queries = workspace.load_queries(snapshot.catalog, snapshot.log.user_ids)
    if queries is not None and erased is not None:
        gone = set(erased.among(queries.user_ids.tolist()))
        rows = [row for row, user in enumerate(queries.user_ids.tolist()) if user in gone]
        queries = queries.where(~np.isin(queries.user, rows))
    return count_clicks(queries, snapshot.lexical)
