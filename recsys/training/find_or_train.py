"""Trained models on disk: published like bundles, and looked up by the key of what they were trained on."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from features.data.shop_profile import ShopProfile
from features.errors import ModelError
from features.ingest.erased_users import ErasedUsers
from features.storage.digests import of_json
from recsys.artifacts.bundle import RETRAIN, list_bundles
from recsys.artifacts.check import find_bundle
from recsys.artifacts.model import Model
from recsys.artifacts.model_card import marked, model_card
from recsys.artifacts.model_store import mark
from recsys.artifacts.publish import publish, use
from recsys.privacy.erasure import finish
from recsys.progress import terminal_progress
from recsys.settings.auto import with_profile
from recsys.settings.presets import find_device, with_preset
from recsys.snapshot.fingerprint import fingerprint
from recsys.tracking.run import tracked
from recsys.training.continual.parent import Parent
from recsys.training.continual.pipeline import continue_model
from recsys.training.job import TrainingJob
from recsys.training.options import TrainOptions
from recsys.training.pipeline import MODEL_VERSION, settings_digests, train_model
from recsys.training.windows import Windows, moment

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from features.data.reviews import Reviews
    from features.reviews.polarities import Polarities
    from recsys.artifacts.bundle import Bundle
    from recsys.settings.settings import Settings
    from recsys.tracking.run import TrackedRun
    from recsys.training.options import TrainOptions
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """A training with everything that determines its model.

    Attributes
    ----------
    until : seconds since the epoch; later events are not in the job's log.
    key : SHA-256 that identifies the model, see `training_key`.
    """

    job: TrainingJob
    until: int
    device: torch.device
    key: str

    @classmethod
    def of(cls, settings: Settings, options: TrainOptions, tables: tuple[Catalog, Interactions], until: int) -> TrainingPlan:
        """Plan a training on the events before `until`, in seconds since the epoch.

        Raises
        ------
        ModelError
            If there are none.
        """
        catalog, log = tables[0], tables[1].between(None, until).with_known_users().capped()
        if not len(log):
            raise ModelError("no event lies before the date: choose a later --until, or leave it out")
        device = find_device(options.device)
        # Precedence: the user's settings, then the preset, then what the log suggests.
        settings = with_profile(with_preset(settings, options.preset, device), ShopProfile.of(log))
        queries = None if options.queries is None else options.queries.between(None, until).with_users(log.user_ids)
        reviews = None if options.reviews is None else options.reviews.between(None, until)
        polarities = _polarities(settings, reviews)
        more = [table.digest for table in (queries, reviews, polarities) if table is not None]
        data = of_json([fingerprint(catalog, log), *more]) if more else fingerprint(catalog, log)
        key = training_key(settings, options.seed, data, until)
        windows = Windows.plan(log, until)
        job = TrainingJob(catalog, log, windows, settings, options.seed, queries, reviews, options.watch, terminal_progress, polarities)
        return cls(replace(job, cluster=options.cluster), until, device, key)

    def find(self, store: Path, *, continued: bool = False) -> Bundle | None:
        """Return the plan's model in a store; None if there is none or a user in its data has been erased since.

        Parameters
        ----------
        continued : whether a model that goes on from an earlier one will do.
        """
        return find_bundle(store, **{"plan" if continued else "key": self.key, RETRAIN: None})


def _polarities(settings: Settings, reviews: Reviews | None) -> Polarities | None:
    """Read the polarities that people gave, and say what of them is of no use; None without any, or without reviews to read by them."""
    if settings.reviews.polarities is None:
        return None
    if reviews is None or not len(reviews):
        _log.warning(
            "note: reviews.polarities is not read, because there are no reviews before the end of the log: ingest some, or omit it"
        )
        return None
    found = settings.reviews.read_polarities()
    assert found is not None
    for note in found.notes:
        _log.info("%s", note)
    if found.lacking:
        name = settings.reviews.polarities.name
        _log.warning("note: %s: %s: nothing is learned from it, and an aspect has the sentiment of its sentence", name, found.lacking)
    return found


def find_or_train(
    workspace: Workspace, store: Path, settings: Settings, options: TrainOptions, tables: tuple[Catalog, Interactions], until: int
) -> tuple[Model, str]:
    """Return the model for these tables, settings and seed from `store`, or train and publish it there.

    Parameters
    ----------
    options : the training goes on from the model in use in `store` only if `warm_start` is True.
    until : seconds since the epoch; later events are left out of the log.

    Returns
    -------
    model : the model.
    message : one line for the user.
    """
    return _from_store(workspace, store, TrainingPlan.of(settings, options, tables, until), warm_start=options.warm_start is True)


def model_until(
    workspace: Workspace, store: Path, settings: Settings, options: TrainOptions, tables: tuple[Catalog, Interactions], until: int
) -> Model:
    """Return a model to evaluate: the workspace's, if these tables and settings give it, else one from `store`.

    The workspace's current model stays in use.
    """
    plan = TrainingPlan.of(settings, options, tables, until)
    if bundle := plan.find(workspace.models):
        return Model.from_files(bundle.files)
    if not plan.find(store):
        why = "is of another date, other settings, another seed or other data" if list_bundles(workspace.models) else "is not there"
        _log.info("the workspace's model %s: training one until %s", why, moment(until))
    model, message = _from_store(workspace, store, plan)
    _log.info("%s", message)
    return model


def _from_store(workspace: Workspace, store: Path, plan: TrainingPlan, *, warm_start: bool | None = False) -> tuple[Model, str]:
    """Find the plan's model in the store, or train and publish it.

    Parameters
    ----------
    warm_start : whether to go on from the model in use where that may be done; None does not, and says that it may be done.
    """
    if bundle := plan.find(store, continued=bool(warm_start)):
        use(store, bundle.id)
        return Model.from_files(bundle.files), _already_there(bundle, plan)
    settings = plan.job.settings
    facts = {**settings.training_sections(), "seed": plan.job.seed, "device": plan.device.type, "until": moment(plan.until)}
    with tracked(settings.tracking, "train", facts) as run:
        return _trained(workspace, store, plan, run, warm_start=warm_start)


def _already_there(bundle: Bundle, plan: TrainingPlan) -> str:
    """Return that the model of a plan is there, and which settings of [continual] it did not go on with."""
    made_with = bundle.manifest.about.get("continued", {}).get("settings", {})
    now = plan.job.settings.continual.of_training()
    changed = [name for name, value in made_with.items() if now.get(name) != value]
    if not changed:
        return f"model {bundle.id} is already there for this data, these settings and this seed"
    other = f"it went on with other values of continual.{', continual.'.join(changed)}"
    return f"model {bundle.id} is already there for this data and this seed; {other}, and a training on later data reads the new ones"


def _trained(workspace: Workspace, store: Path, plan: TrainingPlan, run: TrackedRun, *, warm_start: bool | None) -> tuple[Model, str]:
    """Train the plan's model and publish it."""
    key, device, read_at = plan.key, plan.device, datetime.now(UTC)
    parent = None if warm_start is False else parent_for(workspace, store, plan, offered=warm_start is None)
    if parent is not None:
        # An erasure since the oldest data in the line of models was read concerns this one too.
        key, read_at = parent.key_of(plan.key, plan.job), min(read_at, parent.read)
    cache, job = workspace.cache, replace(plan.job, on_epoch=run.epoch, cache=workspace.cache)
    work = cache / f"training-{key[:16]}"
    model = train_model(job, device, work, cache) if parent is None else continue_model(parent, job, device, work, cache)
    settings = job.settings
    made_by = {"version": MODEL_VERSION, "settings": settings_digests(job)}  # what the next training compares, see `Parent.obstacle`
    about = {"key": key, "plan": plan.key, "read": read_at.isoformat(), **made_by, **model.about}
    card = model_card(key[:16], model.about, settings.encoder.model, job.windows.calibration.days, workspace.reports)
    if ErasedUsers.read(workspace.erased).among(plan.job.log.user_ids.tolist()):  # while it trained
        about, card = about | {RETRAIN: True}, marked(card)
    model_id = publish(store, model.to_files() | {"MODEL_CARD.md": card.encode()}, about, settings.bundles.keep)
    run.results({name: model.about.get(name, {}) for name in ("towers", "ranking", "search")})
    run.tags["model_id"] = model_id
    erased = ErasedUsers.read(workspace.erased)
    if erased.since(read_at):  # by an erasure that listed the models just before this one was published
        mark(store, erased)
    shutil.rmtree(work)
    begun = "" if parent is None else f", going on from model {parent.name}"
    trained = f"trained until {model.about['until']} on {device.type}{begun}"
    return model, f"model {model_id} {trained}; its card is {store / model_id / 'MODEL_CARD.md'}"


def parent_for(workspace: Workspace, store: Path, plan: TrainingPlan, *, offered: bool = False) -> Parent | None:
    """Return the model in use if a training may go on from it, and say which or why not; `offered` only says that it may."""
    parent = Parent.current(store)
    reason = None if parent is None else parent.obstacle(plan.job, ErasedUsers.read(workspace.erased))
    if offered:
        if parent is not None and reason is None:
            _log.info("note: this training begins from nothing; `recsys train --continue` would go on from model %s", parent.name)
        return None
    if parent is None:
        _log.warning("note: there is no model to go on from: this training begins from nothing")
        return None
    if reason:
        _log.warning("note: this training begins from nothing and does not go on from model %s: %s", parent.bundle.id, reason)
        return None
    of = plan.job.settings.continual.fresh_every
    text = "going on from model %s, trained until %s: %d of at most %d in a row; --from-scratch begins from nothing"
    _log.info(text, parent.name, parent.about["until"], parent.generation + 1, of)
    return parent


def training_key(settings: Settings, seed: int, data: str, until: int) -> str:
    """Return the SHA-256 of all that a model depends on; `MODEL_VERSION` stands for the code."""
    facts = [MODEL_VERSION, settings.training_sections(), seed, data, until]
    return of_json(facts)


def train(workspace: Workspace, settings: Settings, options: TrainOptions) -> str:
    """Train the workspace's model on the ingested tables, unless it exists; return one line for the user."""
    finish(workspace)
    catalog, log = workspace.load(settings.events)
    _log.info("%s", log.clock)
    until = log.end if options.until is None else min(log.end, int(options.until.replace(tzinfo=UTC).timestamp()))
    queries, reviews = (load(catalog, log.user_ids) for load in (workspace.load_queries, workspace.load_reviews))
    options = replace(options, queries=queries, reviews=reviews)
    plan = TrainingPlan.of(settings, options, (catalog, log), until)
    warm_start = True if options.warm_start is None and settings.continual.enabled else options.warm_start
    return _from_store(workspace, workspace.models, plan, warm_start=warm_start)[1]
