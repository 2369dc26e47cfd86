"""Marks on stored models that were trained on users who have been erased since."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from features.errors import BundleError
from recsys.artifacts.bundle import RETRAIN, Bundle, list_bundles
from recsys.artifacts.model_card import marked
from recsys.artifacts.publish import rewrite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers
    from recsys.workspace.workspace import Workspace


def to_be_trained(workspace: Workspace) -> bool:
    """Return whether users were erased since the workspace's model was trained; False if no model can be read."""
    try:
        return bool(list_bundles(workspace.models)) and bool(Bundle.open(workspace.models).manifest.about.get(RETRAIN))
    except BundleError:
        return False


def mark(store: Path, erased_users: ErasedUsers) -> int:
    """Mark the models that were trained before a user was erased; return how many were newly marked."""

    def change(bundle: Bundle) -> tuple[Mapping[str, bytes], dict[str, Any]] | None:
        about = bundle.manifest.about
        read = datetime.fromisoformat(about["read"]) if "read" in about else bundle.manifest.created
        if about.get(RETRAIN) or not erased_users.since(read):
            return None
        card = bundle.read("MODEL_CARD.md").decode()
        return {"MODEL_CARD.md": marked(card).encode()}, about | {RETRAIN: True}

    return sum(old != new for old, new in rewrite(store, change).items())
