"""What the commands do with a workspace: train, build, refresh, answer, evaluate."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from features.digests import digest, of_strings
from features.errors import BundleError, ModelError
from features.files import Below
from ranking.withheld import Withheld
from recsys.building import Build, canaries
from recsys.bundle import LAYOUT, Bundle, check_layout, current_id, list_bundles, sound_bundle
from recsys.erasure import finish, sweep
from recsys.mapped import MappedFiles
from recsys.model import Model, ServedModel
from recsys.recommender import Recommender
from recsys.refresh import inputs
from recsys.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eval.result import Report
    from features.catalog import Catalog
    from features.interactions import Interactions
    from features.onnx_session import Device as AnsweringDevice
    from recsys.answers import Answer, Matches
    from recsys.config import Settings
    from recsys.options import Device, RecommendOptions, TrainOptions
    from recsys.workspace import Workspace

_log = logging.getLogger(__name__)


def train(workspace: Workspace, settings: Settings, options: TrainOptions) -> str:
    """Train on what was ingested, and make it the workspace's model. Does nothing where that very model is there."""
    from recsys.store import trained

    finish(workspace)
    catalog, log = workspace.load(settings.events)
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


def build_index(workspace: Workspace, settings: Settings, device: Device = "auto") -> str:
    """Encode on `device`, count, index, and publish with the model as one bundle."""
    with workspace.alone():
        sweep(workspace)
        return publish_tables(workspace, settings, device=device)[0]


def publish_tables(
    workspace: Workspace, settings: Settings, gated: bool = False, device: Device = "auto"
) -> tuple[str, dict[str, Any] | None]:
    """Publish what was ingested. Returns what to tell, and how far it moved from the bundle before.

    gated: only if it passes the gates against the bundle in use. device: where texts are encoded.

    Raises
    ------
    RefusedError: it does not.
    """
    # Told before the tables are read: an event that comes in between is then counted by the next refresh, not by none.
    key, previous, read = inputs(workspace, settings), sound_bundle(workspace.bundles), workspace.events.last()
    catalog, log = workspace.load(settings.events)
    if previous and previous.manifest.about["inputs"] == key:
        return f"nothing has changed: bundle {previous.id} stays in use", None
    return Build(workspace, settings, current_model(workspace, settings), key, previous, gated, device, read).publish(catalog, log)


def build(workspace: Workspace, settings: Settings, model: Model, catalog: Catalog, log: Interactions) -> str:
    """Publish a bundle of these tables. Texts that the bundle in use has vectors for, by the same model, are not encoded again."""
    from recsys.store import fingerprint

    key, previous = bundle_inputs(model.to_files(), settings, fingerprint(catalog, log)), sound_bundle(workspace.bundles)
    if previous and previous.manifest.about["inputs"] == key:
        return f"nothing has changed: bundle {previous.id} stays in use"
    return Build(workspace, settings, model, key, previous).publish(catalog, log)[0]


def bundle_inputs(model_files: Mapping[str, bytes], settings: Settings, data: str) -> str:
    """SHA-256 of all that a bundle is made of: model, index settings, `fingerprint` of the tables."""
    parts = [str(LAYOUT), data, settings.index.model_dump_json(), digest(model_files)]
    return hashlib.sha256(of_strings(parts)).hexdigest()


def open_recommender(
    workspace: Workspace, bundle_id: str | None = None, *, shared: bool = False, device: AnsweringDevice = "cpu"
) -> Recommender:
    """The recommender of a bundle, the one in use if none is named; every file is checked as it is read.

    shared: its large files are mapped, so that processes share them: see `recsys.mapped`. device: where networks answer.

    Raises
    ------
    BundleError: there is none, it is damaged, of another layout, or it does not answer its canaries as it did when it was built.
    ConfigError: the workspace's rules.toml cannot be read, or the device is not there.
    """
    while True:
        bundle = Bundle.open(workspace.bundles, bundle_id)
        check_layout(bundle)
        try:
            opened = _opened(bundle, MappedFiles(bundle) if shared else bundle.files, device)
            return replace(opened, withheld=Withheld.read(workspace.rules))
        except BundleError:
            # Another took its place, and it was removed, while it was being read.
            if bundle_id is not None or current_id(workspace.bundles) == bundle.id:
                raise


def _opened(bundle: Bundle, files: Mapping[str, bytes], device: AnsweringDevice) -> Recommender:
    snapshot = Snapshot.from_files(Below(files, "snapshot"))
    if canaries(snapshot) != bundle.manifest.about["canaries"]:
        raise BundleError(f"bundle {bundle.id} does not answer its canary queries as it did when built: `recsys rollback`, or build again")
    return Recommender(ServedModel(files, device).read(), snapshot, bundle.id)


def recommend(workspace: Workspace, settings: Settings, options: RecommendOptions) -> Answer:
    """One user's answer."""
    return next(iter(recommend_users(workspace, settings, options, [options.user])))


def recommend_users(workspace: Workspace, settings: Settings, options: RecommendOptions, users: Sequence[str | None]) -> Iterable[Answer]:
    """Answers for many users, in their order."""
    return open_recommender(workspace, device=settings.serve.device).answer(options, users)


def similar(workspace: Workspace, settings: Settings, item_id: str, k: int) -> Matches:
    """Items nearest to an item."""
    return open_recommender(workspace, device=settings.serve.device).similar(item_id, k)


def evaluate(workspace: Workspace, settings: Settings) -> Report:
    """Judge the way of recommending on the last weeks of the log: see `recsys.evaluation`."""
    from recsys.evaluation import evaluate as judge

    return judge(workspace, settings)


def search(workspace: Workspace, settings: Settings, text: str, k: int) -> Matches:
    """Items nearest in meaning to some words."""
    return open_recommender(workspace, device=settings.serve.device).search(text, k)
