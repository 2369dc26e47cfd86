"""Making a bundle of tables and a model, with what can be taken over from the bundle before."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from features.durable import write_whole
from features.files import Below
from recsys.bundle import LAYOUT, RETRAIN, Bundle
from recsys.erasure import to_be_trained
from recsys.export import answering_files, model_digest
from recsys.model import ServedModel
from recsys.publish import publish
from recsys.quality import Standing, collaborative_key
from recsys.snapshot import Counted, Encoded, Snapshot, encode_catalog, indexed
from retrieval.joint import Collaborative
from retrieval.token_states import TokenStates
from retrieval.vectors import TextVectors

if TYPE_CHECKING:
    from features.catalog import Catalog
    from features.interactions import Interactions
    from recsys.config import Settings
    from recsys.model import Model
    from recsys.options import Device
    from recsys.workspace import Workspace

_log = logging.getLogger(__name__)
CANARIES = 5
CANARY_K = 10


@dataclass(frozen=True)
class Build:
    """inputs: of what it is made, for the next one to compare. previous: the bundle in use. gated: whether it must pass the gates.

    device: where texts are encoded.
    events_read: see `Snapshot`.
    """

    workspace: Workspace
    settings: Settings
    model: Model
    inputs: str
    previous: Bundle | None
    gated: bool = False
    device: Device = "auto"
    events_read: int = 0

    def publish(self, catalog: Catalog, log: Interactions) -> tuple[str, dict[str, Any] | None]:
        """Encode, count, index, compare, publish. Returns what to tell, and how far it moved from the bundle before, if it is comparable.

        Raises
        ------
        RefusedError: a gate did not pass.
        """
        encoded = encode_catalog(catalog, self.model, self.workspace.cache, self._known(), self.device)
        now = log.end if len(log) else 0
        key = collaborative_key(log, now, self.model.retrieval)
        counted = Counted.of(catalog, log, now, self.model.retrieval, self._fitted(key))
        snapshot = replace(indexed(catalog, counted, now, self.model, encoded, self.settings.index), events_read=self.events_read)
        about = self._about(snapshot) | {"collaborative": key}
        moved = None
        if self.gated and self._comparable:
            about["gates"], moved = self._compare(snapshot)
            about["drift"] = moved
        files = answering_files(self.model, self._model_key, self.previous) | below_snapshot(snapshot)
        bundle_id = publish(self.workspace.bundles, files, about, self.settings.bundles.keep)
        if moved:
            self._report(bundle_id, about)
        texts = f"{encoded.encoded:,} of {about['texts']:,} texts encoded"
        return f"bundle {bundle_id} is in use: {len(catalog):,} items, {texts}, {snapshot.index.config.kind} index", moved

    @cached_property
    def _model_key(self) -> str:
        return model_digest(self.model.to_files())

    @property
    def _comparable(self) -> bool:
        return self.previous is not None and self.previous.manifest.answers

    def _known(self) -> Encoded | None:
        return None if self.previous is None else encoded_before(self.previous, self.model)

    def _fitted(self, key: str) -> Collaborative | None:
        """The collaborative models of the bundle before, if they are of the same log."""
        if self.previous is None or self.previous.manifest.about.get("collaborative") != key:
            return None
        return Collaborative.from_files(Below(self.previous.files, "snapshot/collaborative"))

    def _about(self, snapshot: Snapshot) -> dict[str, Any]:
        return {
            "layout": LAYOUT,
            "inputs": self.inputs,
            "model": self._model_key,
            "fingerprint": self.model.fingerprint,
            "dim": snapshot.text_vectors.shape[1],
            "items": len(snapshot.catalog),
            "texts": len(snapshot.text_vectors),
            "index": snapshot.index.config.kind,
            "trained_until": self.model.about.get("until"),
            "canaries": canaries(snapshot),
            RETRAIN: to_be_trained(self.workspace),
        }

    def _compare(self, snapshot: Snapshot) -> tuple[dict[str, Any], dict[str, Any]]:
        from recsys.drift import drift
        from recsys.gates import check

        previous, cache = self.previous, self.workspace.cache
        assert previous is not None
        before = Snapshot.from_files(Below(previous.files, "snapshot"))
        old = Standing(ServedModel(previous.files), before, previous.id, previous.manifest.about["model"], cache)
        new = Standing(self.model, snapshot, "", self._model_key, cache)
        return check(old, new, self.settings.refresh), drift(old, new)

    def _report(self, bundle_id: str, about: dict[str, Any]) -> None:
        text = json.dumps({"bundle_id": bundle_id, "gates": about["gates"], **about["drift"]}, indent=2)
        try:
            write_whole(self.workspace.reports / "drift.json", text)
        except OSError as error:  # the bundle is in use already, and its manifest says the same
            _log.warning("%s cannot be written: %s", self.workspace.reports / "drift.json", error.strerror or error)


def encoded_before(bundle: Bundle, model: Model) -> Encoded | None:
    """Vectors of the texts of a bundle, and states where it has them, if this model made them."""
    if not bundle.manifest.answers or bundle.manifest.about["fingerprint"] != model.fingerprint:
        return None
    texts = TextVectors.from_files(Below(bundle.files, "snapshot/texts"))
    held = "snapshot/states/offsets.safetensors" in bundle.files
    return Encoded(texts.alone(), TokenStates.from_files(Below(bundle.files, "snapshot/states")) if held else None, 0)


def below_snapshot(snapshot: Snapshot) -> dict[str, bytes]:
    """The snapshot's files, in a folder of their own beside the model's."""
    return {f"snapshot/{name}": content for name, content in snapshot.to_files().items()}


def canaries(snapshot: Snapshot) -> list[dict[str, list[int] | int]]:
    """Some texts, spread over the catalogue, and the texts nearest to each: what a bundle must still answer when it is opened."""
    chosen = np.unique(np.linspace(0, len(snapshot.text_vectors) - 1, CANARIES).astype(np.int64))
    rows, _ = snapshot.index.search(snapshot.space[chosen], CANARY_K)
    return [{"text": int(text), "nearest": near.tolist()} for text, near in zip(chosen, rows, strict=True)]
