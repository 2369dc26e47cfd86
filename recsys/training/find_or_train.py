"""Trained models on disk: each is published like a bundle, and found again by what it was trained on."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from features.data.shop_profile import ShopProfile
from features.errors import ModelError
from features.ingest.erased_users import ErasedUsers
from recsys.artifacts.bundle import RETRAIN, find_bundle, list_bundles
from recsys.artifacts.model import Model
from recsys.artifacts.model_card import marked, model_card
from recsys.artifacts.model_store import mark
from recsys.artifacts.publish import publish, use
from recsys.privacy.erasure import finish
from recsys.progress import terminal_progress
from recsys.settings.auto import with_profile
from recsys.settings.keys import training_sections
from recsys.settings.presets import find_device, with_preset
from recsys.snapshot.fingerprint import fingerprint
from recsys.training.pipeline import MODEL_VERSION, TrainingJob, train_model
from recsys.training.windows import Windows, moment

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from recsys.artifacts.bundle import Bundle
    from recsys.settings.settings import Settings
    from recsys.training.options import TrainOptions
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """One training with all that its model depends on settled, and the key by which that model is found again."""

    shop: TrainingJob
    until: int
    device: torch.device
    key: str

    @classmethod
    def of(cls, settings: Settings, options: TrainOptions, tables: tuple[Catalog, Interactions], until: int) -> Training:
        """On what lies before `until`, seconds since the epoch.

        Raises
        ------
        ModelError: nothing does.
        """
        catalog, log = tables[0], tables[1].between(None, until).with_known_users()
        if not len(log):
            raise ModelError("no event lies before the date: train on a later --until, or on everything")
        device = find_device(options.device)
        # The preset first: a key that is set stays, and the log decides only what neither the user nor the preset did.
        settings = with_profile(with_preset(settings, options.preset, device), ShopProfile.of(log))
        key = training_key(settings, options.seed, fingerprint(catalog, log), until)
        job = TrainingJob(catalog, log, Windows.plan(log, until), settings, options.seed, options.watch, terminal_progress)
        return cls(job, until, device, key)

    def find(self, store: Path) -> Bundle | None:
        """Its model in a store; one that has learned from somebody who was erased since is passed over."""
        return find_bundle(store, key=self.key, **{RETRAIN: None})


def find_or_train(
    workspace: Workspace, store: Path, settings: Settings, options: TrainOptions, tables: tuple[Catalog, Interactions], until: int
) -> tuple[Model, str]:
    """The model for these tables, settings and seed: from `store` if it is there, else trained and published into it.

    until: seconds since the epoch; what lies at or after it is left out of the log.
    """
    return _made(workspace, store, Training.of(settings, options, tables, until))


def model_until(
    workspace: Workspace, store: Path, settings: Settings, options: TrainOptions, tables: tuple[Catalog, Interactions], until: int
) -> Model:
    """The model to judge: the workspace's own where it is the very one that these tables and settings give, else that of `store`.

    The model that the workspace has in use stays in use.
    """
    training = Training.of(settings, options, tables, until)
    if bundle := training.find(workspace.models):
        return Model.from_files(bundle.files)
    if not training.find(store):
        why = "is of another date, other settings, another seed or other data" if list_bundles(workspace.models) else "is not there"
        _log.info("the workspace's model %s: training one until %s", why, moment(until))
    model, said = _made(workspace, store, training)
    _log.info("%s", said)
    return model


def _made(workspace: Workspace, store: Path, training: Training) -> tuple[Model, str]:
    """From the store, or trained and published into it."""
    key, device = training.key, training.device
    if bundle := training.find(store):
        use(store, bundle.id)
        return Model.from_files(bundle.files), f"model {bundle.id} is already there for this data, these settings and this seed"
    work = workspace.cache / f"training-{key[:16]}"
    read = datetime.now(UTC)
    model = train_model(training.shop, device, work, workspace.cache)
    settings = training.shop.settings
    about = {"key": key, "read": read.isoformat(), **model.about}
    card = model_card(key[:16], model.about, settings.encoder.model, training.shop.windows.calibration.days)
    if ErasedUsers.read(workspace.erased).among(training.shop.log.user_ids.tolist()):  # while it trained
        about, card = about | {RETRAIN: True}, marked(card)
    model_id = publish(store, model.to_files() | {"MODEL_CARD.md": card.encode()}, about, settings.bundles.keep)
    erased = ErasedUsers.read(workspace.erased)
    if erased.since(read):  # by who may have looked for models a moment before this one was there
        mark(store, erased)
    shutil.rmtree(work)
    said = f"model {model_id} trained until {model.about['until']} on {device.type}; its card is {store / model_id / 'MODEL_CARD.md'}"
    return model, said


def training_key(settings: Settings, seed: int, data: str, until: int) -> str:
    """SHA-256 of all that a model depends on, the training's code included."""
    facts = [MODEL_VERSION, training_sections(settings), seed, data, until]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def train(workspace: Workspace, settings: Settings, options: TrainOptions) -> str:
    """Train on what was ingested, and make it the workspace's model. Does nothing where that very model is there."""

    finish(workspace)
    catalog, log = workspace.load(settings.events)
    until = log.end if options.until is None else min(log.end, int(options.until.replace(tzinfo=UTC).timestamp()))
    _, said = find_or_train(workspace, workspace.models, settings, options, (catalog, log), until)
    return said
