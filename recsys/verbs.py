"""What the commands do with a workspace: train, build, refresh, answer, evaluate."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np

from features.errors import BundleError, ModelError
from features.ingest import ingest, load_source
from recsys.bundle import Bundle, list_bundles
from recsys.card import model_card
from recsys.model import Model
from recsys.presets import find_device, with_preset
from recsys.publish import publish
from recsys.recommender import Recommender
from recsys.snapshot import Encoded, Snapshot, encode_catalog, take_snapshot
from recsys.training import Shop, train_model
from recsys.windows import Windows
from retrieval.joint import below

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from eval.result import Report
    from features.catalog import Catalog
    from features.interactions import Interactions
    from recsys.answers import Answer, Matches
    from recsys.config import Settings
    from recsys.options import RecommendOptions, TrainOptions
    from recsys.workspace import Workspace

_log = logging.getLogger(__name__)
CANARIES = 5
CANARY_K = 10


def train(workspace: Workspace, settings: Settings, options: TrainOptions) -> str:
    """Train on what was ingested, and make it the workspace's model. Does nothing where that very model is there."""
    catalog, log = workspace.load(settings.events.model_dump())
    until = log.end if options.until is None else min(log.end, int(options.until.replace(tzinfo=UTC).timestamp()))
    _, said = trained(workspace, workspace.models, settings, options, (catalog, log.between(None, until)))
    return said


def trained(
    workspace: Workspace, store: Path, settings: Settings, options: TrainOptions, tables: tuple[Catalog, Interactions]
) -> tuple[Model, str]:
    """The model for these tables, settings and seed: from `store` if it is there, else trained and published into it."""
    catalog, log = tables
    device = find_device(options.device)
    settings = with_preset(settings, options.preset, device)
    if not len(log):
        raise ModelError("no event lies before the date: train on a later --until, or on everything")
    windows = Windows.plan(log.start, log.end)
    key = training_key(settings, options.seed, fingerprint(catalog, log))
    for model_id in list_bundles(store):
        bundle = Bundle.open(store, model_id)
        if bundle.manifest.about.get("key") == key:
            return Model.from_files(bundle.files), f"model {model_id} is already there for this data, these settings and this seed"
    work = workspace.cache / f"training-{key[:16]}"
    model = train_model(Shop(catalog, log, windows, settings, options.seed), device, work, workspace.cache)
    about = {"key": key, **model.about}
    card = model_card(key[:16], model.about, settings.encoder.model, windows.calibration.days)
    model_id = publish(store, model.to_files() | {"MODEL_CARD.md": card.encode()}, about, settings.bundles.keep)
    curves = workspace.root / "tensorboard" / key[:16]
    shutil.rmtree(curves, ignore_errors=True)
    shutil.copytree(work / "tensorboard", curves)
    shutil.rmtree(work)
    return (
        model,
        f"model {model_id} trained until {model.about['until']} on {device.type}; its card is {store / model_id / 'MODEL_CARD.md'}",
    )


def training_key(settings: Settings, seed: int, data: str) -> str:
    """SHA-256 of all that a model depends on."""
    sections = ("events", "encoder", "tower", "train", "index", "retrieval", "blend", "cross_encoder")
    parts = {name: getattr(settings, name).model_dump(mode="json") for name in sections}
    return hashlib.sha256(json.dumps([parts, seed, data], sort_keys=True).encode()).hexdigest()


def fingerprint(catalog: Catalog, log: Interactions) -> str:
    """SHA-256 of catalogue and log."""
    digest = hashlib.sha256(catalog.frame.write_json().encode())
    for name in ("user", "item", "time", "event", "weight", "price"):
        digest.update(np.ascontiguousarray(getattr(log, name)).tobytes())
    digest.update("\n".join(log.user_ids.tolist()).encode())
    return digest.hexdigest()


def current_model(workspace: Workspace, settings: Settings) -> Model:
    """The workspace's model; the pretrained encoder as it is, with a word of warning, if nothing has been trained."""
    if not list_bundles(workspace.models):
        _log.warning("no model has been trained: the text encoder is used as it is, and nothing is ranked; run `recsys train`")
        return Model.untrained(settings)
    return Model.from_files(Bundle.open(workspace.models).files)


def build_index(workspace: Workspace, settings: Settings) -> str:
    """Encode, count, index, and publish with the model as one bundle."""
    catalog, log = workspace.load(settings.events.model_dump())
    return build(workspace, settings, current_model(workspace, settings), catalog, log)


def build(workspace: Workspace, settings: Settings, model: Model, catalog: Catalog, log: Interactions) -> str:
    """Publish a bundle of these tables. Texts that the bundle in use has vectors for, by the same model, are not encoded again."""
    data = fingerprint(catalog, log)
    previous = in_use(workspace)
    if previous and (previous.manifest.about["data"], previous.manifest.about["fingerprint"]) == (data, model.fingerprint):
        return f"nothing has changed: bundle {previous.id} stays in use"
    known = None
    if previous and previous.manifest.about["fingerprint"] == model.fingerprint:
        old = Snapshot.from_files(below(previous.files, "snapshot"))
        known = Encoded(old.vectors, old.states, 0)
    encoded = encode_catalog(catalog, model, workspace.cache, known)
    now = log.end if len(log) else 0
    snapshot = take_snapshot(catalog, log, now, model, encoded, settings.index)
    about = {
        "data": data,
        "fingerprint": model.fingerprint,
        "dim": snapshot.vectors.dim,
        "items": len(catalog),
        "texts": len(snapshot.text_vectors),
        "index": snapshot.index.config.kind,
        "trained_until": model.about.get("until"),
        "canaries": canaries(snapshot),
    }
    bundle_id = publish(workspace.bundles, model.to_files() | below_snapshot(snapshot), about, settings.bundles.keep)
    texts = f"{encoded.encoded:,} of {about['texts']:,} texts encoded"
    return f"bundle {bundle_id} is in use: {len(catalog):,} items, {texts}, {snapshot.index.config.kind} index"


def below_snapshot(snapshot: Snapshot) -> dict[str, bytes]:
    """The snapshot's files, in a folder of their own beside the model's."""
    return {f"snapshot/{name}": content for name, content in snapshot.to_files().items()}


def canaries(snapshot: Snapshot) -> list[dict[str, list[int] | int]]:
    """Some texts, spread over the catalogue, and the texts nearest to each: what a bundle must still answer when it is opened."""
    chosen = np.unique(np.linspace(0, len(snapshot.text_vectors) - 1, CANARIES).astype(np.int64))
    rows, _ = snapshot.index.search(snapshot.text_vectors[chosen], CANARY_K)
    return [{"text": int(text), "nearest": near.tolist()} for text, near in zip(chosen, rows, strict=True)]


def in_use(workspace: Workspace) -> Bundle | None:
    """The bundle in use; None where none has been published."""
    return Bundle.open(workspace.bundles) if list_bundles(workspace.bundles) else None


def open_recommender(workspace: Workspace, bundle_id: str | None = None) -> Recommender:
    """The recommender of a bundle, the one in use if none is named; every file is checked as it is read.

    Raises
    ------
    BundleError: there is none, it is damaged, or it does not answer its canaries as it did when it was built.
    """
    bundle = Bundle.open(workspace.bundles, bundle_id)
    snapshot = Snapshot.from_files(below(bundle.files, "snapshot"))
    if canaries(snapshot) != bundle.manifest.about["canaries"]:
        raise BundleError(f"bundle {bundle.id} does not answer its canary queries as it did when built: `recsys rollback`, or build again")
    return Recommender(Model.from_files(bundle.files), snapshot, bundle.id)


def refresh(workspace: Workspace, settings: Settings) -> str:
    """Read the sources again, encode what is new or changed, publish."""
    summary = ingest(load_source(workspace.data), workspace.data)
    return f"{summary}\n{build_index(workspace, settings)}"


def recommend(workspace: Workspace, settings: Settings, options: RecommendOptions) -> Answer:
    """One user's answer."""
    return next(iter(recommend_users(workspace, settings, options, [options.user])))


def recommend_users(workspace: Workspace, _settings: Settings, options: RecommendOptions, users: Sequence[str | None]) -> Iterable[Answer]:
    """Answers for many users, in their order."""
    return open_recommender(workspace).answer(options, users)


def similar(workspace: Workspace, _settings: Settings, item_id: str, k: int) -> Matches:
    """Items nearest to an item."""
    return open_recommender(workspace).similar(item_id, k)


def evaluate(workspace: Workspace, settings: Settings) -> Report:
    """Judge the way of recommending on the last weeks of the log: see `recsys.evaluation`."""
    from recsys.evaluation import evaluate as judge

    return judge(workspace, settings)


def search(workspace: Workspace, _settings: Settings, text: str, k: int) -> Matches:
    """Items nearest in meaning to some words."""
    return open_recommender(workspace).search(text, k)
