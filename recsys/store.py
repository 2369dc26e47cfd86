"""Trained models on disk: each is published like a bundle, and found again by what it was trained on."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import ModelError
from features.tombstones import Tombstones
from recsys.bundle import RETRAIN, find_bundle
from recsys.card import marked, model_card
from recsys.choices import Shape, with_shape
from recsys.erasure import mark
from recsys.model import Model
from recsys.presets import find_device, with_preset
from recsys.publish import publish, use
from recsys.training import Shop, train_model
from recsys.windows import Windows

if TYPE_CHECKING:
    from pathlib import Path

    from features.catalog import Catalog
    from features.interactions import Interactions
    from recsys.config import Settings
    from recsys.options import TrainOptions
    from recsys.workspace import Workspace


def trained(
    workspace: Workspace, store: Path, settings: Settings, options: TrainOptions, tables: tuple[Catalog, Interactions], until: int
) -> tuple[Model, str]:
    """The model for these tables, settings and seed: from `store` if it is there, else trained and published into it.

    until: seconds since the epoch; what lies at or after it is left out of the log.
    """
    catalog, log = tables[0], tables[1].between(None, until).with_known_users()
    device = find_device(options.device)
    if not len(log):
        raise ModelError("no event lies before the date: train on a later --until, or on everything")
    # The preset first: a key that is set stays, and the log decides only what neither the user nor the preset did.
    settings = with_shape(with_preset(settings, options.preset, device), Shape.of(log))
    windows = Windows.plan(log, until)
    key = training_key(settings, options.seed, fingerprint(catalog, log), until)
    if bundle := find_bundle(store, key=key, **{RETRAIN: None}):
        use(store, bundle.id)
        return Model.from_files(bundle.files), f"model {bundle.id} is already there for this data, these settings and this seed"
    work = workspace.cache / f"training-{key[:16]}"
    read = datetime.now(UTC)
    model = train_model(Shop(catalog, log, windows, settings, options.seed, options.watch), device, work, workspace.cache)
    about = {"key": key, "read": read.isoformat(), **model.about}
    card = model_card(key[:16], model.about, settings.encoder.model, windows.calibration.days)
    if Tombstones.read(workspace.erased).among(log.user_ids.tolist()):  # while it trained
        about, card = about | {RETRAIN: True}, marked(card)
    model_id = publish(store, model.to_files() | {"MODEL_CARD.md": card.encode()}, about, settings.bundles.keep)
    erased = Tombstones.read(workspace.erased)
    if erased.since(read):  # by who may have looked for models a moment before this one was there
        mark(store, erased)
    curves = workspace.root / "tensorboard" / key[:16]
    shutil.rmtree(curves, ignore_errors=True)
    shutil.copytree(work / "tensorboard", curves)
    shutil.rmtree(work)
    return (
        model,
        f"model {model_id} trained until {model.about['until']} on {device.type}; its card is {store / model_id / 'MODEL_CARD.md'}",
    )


def training_key(settings: Settings, seed: int, data: str, until: int) -> str:
    """SHA-256 of all that a model depends on."""
    return hashlib.sha256(json.dumps([training_sections(settings), seed, data, until], sort_keys=True).encode()).hexdigest()


def training_sections(settings: Settings) -> dict[str, Any]:
    """The settings that a model depends on, ready for JSON."""
    sections = ("events", "encoder", "tower", "train", "index", "retrieval", "blend", "cross_encoder")
    return {name: getattr(settings, name).model_dump(mode="json") for name in sections}


def fingerprint(catalog: Catalog, log: Interactions) -> str:
    """SHA-256 of catalogue and log."""
    digest = hashlib.sha256(catalog.frame.write_json().encode())
    for name in ("user", "item", "time", "event", "weight", "price"):
        digest.update(np.ascontiguousarray(getattr(log, name)).tobytes())
    digest.update("\n".join(log.user_ids.tolist()).encode())
    return digest.hexdigest()
