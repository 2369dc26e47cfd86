"""The gate before the tables: what the sources had at the last read and lack now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from features.ingest.profile.changes import changes
from recsys.refresh.quality_gates import RefusedError
from recsys.settings.refresh import ALL

if TYPE_CHECKING:
    from features.ingest.profile.model import DataProfile
    from recsys.settings.refresh import RefreshConfig

NO_PROFILE = "note: the last read left no data profile, so nothing was compared with it; the next refresh compares with this one"
SHOWN = 3


def check_profile(before: DataProfile | None, after: DataProfile, config: RefreshConfig, bundle_id: str | None) -> None:
    """Compare the profile of the new tables with that of the last read.

    Parameters
    ----------
    before : None compares nothing.
    bundle_id : the bundle in use, for the message.

    Raises
    ------
    RefusedError: something is gone that `refresh.accept_changes` does not name. The tables and the bundle in use stay.
    """
    if before is None or ALL in config.accept_changes:
        return
    gone = [change for change in changes(before, after) if change.key not in config.accept_changes]
    if not gone:
        return
    stays = f"{bundle_id} and its tables stay in use" if bundle_id else "the tables stay in use"
    more = f" (and {len(gone) - SHOWN} more)" if len(gone) > SHOWN else ""
    keys = json.dumps(sorted({*config.accept_changes, *(change.key for change in gone)}))
    reasons = "; ".join(change.words for change in gone[:SHOWN])
    raise RefusedError(f"not published, {stays}: {reasons}{more}, or set refresh.accept_changes = {keys} for this run")
