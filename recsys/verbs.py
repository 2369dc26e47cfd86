"""What the commands do with a workspace: train, build, refresh, answer, evaluate."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np

from features.errors import BundleError, ModelError
from features.files import Below
from features.stored import load_source
from recsys.bundle import RETRAIN, Bundle, current_id, list_bundles
from recsys.erasure import sweep, to_be_trained
from recsys.model import Model, ServedModel
from recsys.publish import publish
from recsys.recommender import Recommender
from recsys.snapshot import Encoded, Snapshot, encode_catalog, take_snapshot
from retrieval.token_states import TokenStates
from retrieval.vectors import TextVectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
LAYOUT = 2  # of a bundle's files: a bundle of another layout is built anew, whatever else has stayed


def train(workspace: Workspace, settings: Settings, options: TrainOptions) -> str:
    """Train on what was ingested, and make it the workspace's model. Does nothing where that very model is there."""
    from recsys.store import trained

    catalog, log = workspace.load(settings.events.model_dump())
    until = log.end if options.until is None else min(log.end, int(options.until.replace(tzinfo=UTC).timestamp()))
    _, said = trained(workspace, workspace.models, settings, options, (catalog, log), until)
    return said


def current_model(workspace: Workspace, settings: Settings) -> Model:
    """The workspace's model; the pretrained encoder as it is, with a word of warning, if nothing has been trained."""
    if not list_bundles(workspace.models):
        _log.warning("no model has been trained: the text encoder is used as it is, and nothing is ranked; run `recsys train`")
        return Model.untrained(settings)
    try:
        return Model.from_files(Bundle.open(workspace.models).files)
    except BundleError as error:
        raise ModelError(f"the trained model cannot be read ({str(error).split(': run ')[0]}): run `recsys train` again") from error


def build_index(workspace: Workspace, settings: Settings) -> str:
    """Encode, count, index, and publish with the model as one bundle."""
    with workspace.alone():
        return _build_index(workspace, settings)


def _build_index(workspace: Workspace, settings: Settings) -> str:
    catalog, log = workspace.load(settings.events.model_dump())
    return build(workspace, settings, current_model(workspace, settings), catalog, log)


def build(workspace: Workspace, settings: Settings, model: Model, catalog: Catalog, log: Interactions) -> str:
    """Publish a bundle of these tables. Texts that the bundle in use has vectors for, by the same model, are not encoded again."""
    from recsys.store import fingerprint

    model_files = model.to_files()
    inputs = bundle_inputs(model_files, settings, fingerprint(catalog, log))
    previous = in_use(workspace)
    if previous and previous.manifest.about["inputs"] == inputs:
        return f"nothing has changed: bundle {previous.id} stays in use"
    known = None
    if previous and previous.manifest.about.get("layout") == LAYOUT and previous.manifest.about["fingerprint"] == model.fingerprint:
        # Only these two of the bundle's parts are read: the rest is made anew.
        texts = TextVectors.from_files(Below(previous.files, "snapshot/texts"))
        known = Encoded(texts.alone(), TokenStates.from_files(Below(previous.files, "snapshot/states")), 0)
    encoded = encode_catalog(catalog, model, workspace.cache, known)
    now = log.end if len(log) else 0
    snapshot = take_snapshot(catalog, log, now, model, encoded, settings.index)
    about = {
        "layout": LAYOUT,
        "inputs": inputs,
        "fingerprint": model.fingerprint,
        "dim": snapshot.text_vectors.shape[1],
        "items": len(catalog),
        "texts": len(snapshot.text_vectors),
        "index": snapshot.index.config.kind,
        "trained_until": model.about.get("until"),
        "canaries": canaries(snapshot),
        RETRAIN: to_be_trained(workspace),
    }
    bundle_id = publish(workspace.bundles, model_files | below_snapshot(snapshot), about, settings.bundles.keep)
    texts = f"{encoded.encoded:,} of {about['texts']:,} texts encoded"
    return f"bundle {bundle_id} is in use: {len(catalog):,} items, {texts}, {snapshot.index.config.kind} index"


def bundle_inputs(model_files: Mapping[str, bytes], settings: Settings, data: str) -> str:
    """SHA-256 of all that a bundle is made of: model, index settings, `fingerprint` of the tables."""
    digest = hashlib.sha256(f"{LAYOUT}|{data}|{settings.index.model_dump_json()}".encode())
    for name, content in sorted(model_files.items()):
        digest.update(name.encode() + content)
    return digest.hexdigest()


def below_snapshot(snapshot: Snapshot) -> dict[str, bytes]:
    """The snapshot's files, in a folder of their own beside the model's."""
    return {f"snapshot/{name}": content for name, content in snapshot.to_files().items()}


def canaries(snapshot: Snapshot) -> list[dict[str, list[int] | int]]:
    """Some texts, spread over the catalogue, and the texts nearest to each: what a bundle must still answer when it is opened."""
    chosen = np.unique(np.linspace(0, len(snapshot.text_vectors) - 1, CANARIES).astype(np.int64))
    rows, _ = snapshot.index.search(snapshot.space[chosen], CANARY_K)
    return [{"text": int(text), "nearest": near.tolist()} for text, near in zip(chosen, rows, strict=True)]


def in_use(workspace: Workspace) -> Bundle | None:
    """The bundle in use; None where none has been published, or where it is damaged: what is built next takes its place."""
    if not list_bundles(workspace.bundles):
        return None
    try:
        bundle = Bundle.open(workspace.bundles)
    except BundleError as error:
        _log.warning("%s", error)
        return None
    problems = bundle.verify()
    if problems:
        _log.warning("%s", problems[0])
        return None
    return bundle


def open_recommender(workspace: Workspace, bundle_id: str | None = None) -> Recommender:
    """The recommender of a bundle, the one in use if none is named; every file is checked as it is read.

    Raises
    ------
    BundleError: there is none, it is damaged, or it does not answer its canaries as it did when it was built.
    """
    while True:
        bundle = Bundle.open(workspace.bundles, bundle_id)
        try:
            return _opened(bundle)
        except BundleError:
            # Another took its place, and it was removed, while it was being read.
            if bundle_id is not None or current_id(workspace.bundles) == bundle.id:
                raise


def _opened(bundle: Bundle) -> Recommender:
    snapshot = Snapshot.from_files(Below(bundle.files, "snapshot"))
    if canaries(snapshot) != bundle.manifest.about["canaries"]:
        raise BundleError(f"bundle {bundle.id} does not answer its canary queries as it did when built: `recsys rollback`, or build again")
    return Recommender(ServedModel(bundle.files).read(), snapshot, bundle.id)


def refresh(workspace: Workspace, settings: Settings) -> str:
    """Read the sources again, encode what is new or changed, publish."""
    with workspace.alone():
        sweep(workspace)
        summary = workspace.ingest_alone(load_source(workspace.data))
        return f"{summary}\n{_build_index(workspace, settings)}"


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
