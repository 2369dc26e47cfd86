"""Builds and publishes a bundle from the tables and a model. What is unchanged is reused from the bundle in use."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from features.errors import BundleError, ModelError
from features.ingest.table_versions import items_as_of
from features.reviews.scored import ScoredReviews
from features.storage.arrays import Subfolder, in_folder
from features.storage.atomic import write_whole
from features.text.coverage import COVERAGE, Coverage, coverage
from recsys.artifacts.bundle import LAYOUT, RETRAIN, Bundle, list_bundles
from recsys.artifacts.export import answering_files, model_digest
from recsys.artifacts.model import Model, ServedModel
from recsys.artifacts.model_store import to_be_trained
from recsys.artifacts.publish import publish
from recsys.dialogue.order_tool import flow_examples
from recsys.privacy.erasure import sweep
from recsys.progress import terminal_progress
from recsys.recommend.live_items import ITEMS_AS_OF
from recsys.recommend.settled_items import settle
from recsys.refresh.customers import customer_tables
from recsys.refresh.flow_intents import flow_intents
from recsys.refresh.idle.verified import bundle_in_use
from recsys.refresh.inputs import inputs, key_of
from recsys.refresh.message_intents import message_intents
from recsys.refresh.offline_check import BundleUnderTest
from recsys.snapshot.aggregates import LogAggregates
from recsys.snapshot.canaries import canaries, encoded_before
from recsys.snapshot.encode import Encoded, EncodeOptions, encode_catalog
from recsys.snapshot.fits.changes import Changes, Tables
from recsys.snapshot.fits.fit import FITS, NOTHING_CARRIED, Fit, Fits, RefitLimits
from recsys.snapshot.fits.parts import FittedParts
from recsys.snapshot.help_texts import HelpTexts
from recsys.snapshot.reviews import read_reviews
from recsys.snapshot.search_clicks import query_clicks
from recsys.snapshot.snapshot import Snapshot, assembled
from retrieval.collaborative.review_words import ReviewWords
from retrieval.lexical.index import LexicalIndex

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from features.data.reviews import Reviews
    from features.text.sentiment.model import SentimentModel
    from recsys.compute.job import Cluster
    from recsys.settings.apps.search import IndexSettings
    from recsys.settings.names import Device
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Build:
    """The build of one bundle.

    Attributes
    ----------
    inputs : str
        A digest of all that the bundle is built from, which the next build compares.
    previous : Bundle or None
        The bundle in use.
    gated : bool
        Whether it must pass the quality gates.
    device : Device
        Where texts are encoded.
    cluster : Cluster or None
        Encodes texts in place of this process.
    events_read : int
        See `Snapshot`.
    items_as_of : float
        When the shop wrote the catalogue, seconds since the epoch.
    """

    workspace: Workspace
    settings: Settings
    model: Model
    inputs: str
    previous: Bundle | None
    gated: bool = False
    device: Device = "auto"
    events_read: int = 0
    items_as_of: float = 0.0
    cluster: Cluster | None = None

    def publish(self, catalog: Catalog, log: Interactions) -> tuple[str, dict[str, Any] | None]:
        """Encode, count, index, compare and publish.

        Returns
        -------
        tuple of str and dict or None
            A summary for the user, and the drift from the bundle in use if the two are comparable.

        Raises
        ------
        RefusedError: a gate did not pass.
        """
        notes = self.settings.search.read_synonyms().notes
        options = EncodeOptions(self.device, progress=terminal_progress, cluster=self.cluster)
        encoded = encode_catalog(catalog, self.model, self.workspace.cache, self._known(), options)
        now = log.end if len(log) else 0
        written = self.workspace.load_reviews(catalog, log.user_ids)
        words = None if written is None or not self.model.retrieval.reviews else ReviewWords.of(written)
        parts = FittedParts(self._fits(Tables(catalog, log, words), now), lambda: self._before)
        collaborative = parts.collaborative(log, now, self.model.retrieval, words)
        aggregates = LogAggregates.of(catalog, log, now, self.model.retrieval, collaborative, words)
        reviews, of_reviews = self._read(written, log)
        snapshot = assembled(catalog, aggregates, now, self.model, encoded, replace(self.indexing, reviews=reviews))
        snapshot = parts.with_related(parts.with_cold_start(snapshot))
        pages = self.workspace.load_help_pages()
        flows = flow_examples(self.settings.assistant)
        intents = flow_intents(self.model.encoder, flows, pages, self.settings.assistant.intents, self.workspace.cache)
        messages = message_intents(self.model, self.model.search_fingerprint, flows, pages, self.workspace.cache)
        customers = customer_tables(log, self.settings.customers.models, self.workspace.cache, parts.fits)
        told = {"help": HelpTexts.read(pages, self.model), "customers": customers}
        snapshot = replace(snapshot, events_read=self.events_read, query_clicks=query_clicks(self.workspace, snapshot), **told)
        read = coverage(self.model.encoder.tokenizer, catalog)
        about = self._about(snapshot) | {FITS: parts.fits.about, COVERAGE: asdict(read)}
        drift = None
        if self.gated and self._comparable:
            about["gates"], drift = self._compare(snapshot)
            about["drift"] = drift
        files = answering_files(self.model, self._model_key, self.previous) | in_folder("snapshot", snapshot.to_files())
        files |= (in_folder("intents", intents.to_files()) if intents else {}) | in_folder("messages", messages.to_files())
        bundle_id = publish(self.workspace.bundles, files, about, self.settings.bundles.keep)
        if drift:
            self._report(bundle_id, about)
        texts = f"{encoded.encoded:,} of {about['texts']:,} texts encoded"
        line = f"bundle {bundle_id} is in use: {len(catalog):,} items, {texts}, {snapshot.index.kind} index"
        summary = parts.fits.summary() if self.gated else ""
        return "\n".join((line, *([summary] if summary else ()), *read.notes, *notes, *of_reviews)), drift

    def _fits(self, after: Tables, until: int) -> Fits:
        """Decide which fitted parts of the bundle in use stay; of an ungated build only those that would be fitted on the same again."""
        before = Fit.stored(self.previous.manifest.about) if self.previous is not None and self._comparable else {}
        config = self.settings.refresh
        limits = RefitLimits(config.refit_share, config.refit_items_share) if self.gated else NOTHING_CARRIED
        return Fits(before, lambda: Changes.between(self._before, after), limits, until, len(after.log), len(after.catalog))

    @cached_property
    def _before(self) -> Snapshot:
        """The snapshot of the bundle in use."""
        assert self.previous is not None
        return Snapshot.from_files(Subfolder(self.previous.files, "snapshot"))

    def _read(self, reviews: Reviews | None, log: Interactions) -> tuple[ScoredReviews, tuple[str, ...]]:
        """Read the shop's reviews; of those of the bundle in use only what is new."""
        if reviews is None or not len(reviews):
            return ScoredReviews.empty(), ()
        folder = Subfolder({} if self.previous is None else self.previous.files, "snapshot/reviews")
        aspects, previous = self.settings.reviews.read_aspects(), ScoredReviews.from_files(folder)
        return read_reviews(reviews, log, self._sentiment(), aspects, previous, self.model.polarity)

    def _sentiment(self) -> SentimentModel:
        """Return the model's classifier of reviews; without one, that of packaged sentences."""
        if self.model.sentiment is not None:
            return self.model.sentiment
        from recsys.refresh.packaged_sentiment import packaged_sentiment

        _log.warning("the model has learned from no reviews: they are read by packaged sentences; run `recsys train` to learn from them")
        return packaged_sentiment(self.model.encoder, self.settings.reviews.sentiment, self.workspace.cache)

    @property
    def indexing(self) -> IndexSettings:
        """The settings, with the words of the bundle in use to continue."""
        if not self._comparable:
            return self.settings.indexing
        assert self.previous is not None
        try:
            previous = LexicalIndex.from_files(Subfolder(self.previous.files, "snapshot/search/lexical"))
        except BundleError:  # of another version
            return self.settings.indexing
        return replace(self.settings.indexing, previous=previous)

    @cached_property
    def _model_key(self) -> str:
        return model_digest(self.model.to_files())

    @property
    def _comparable(self) -> bool:
        return self.previous is not None and self.previous.manifest.answers

    def _known(self) -> Encoded | None:
        return None if self.previous is None else encoded_before(self.previous, self.model)

    def _about(self, snapshot: Snapshot) -> dict[str, Any]:
        return {
            "layout": LAYOUT,
            "inputs": self.inputs,
            "model": self._model_key,
            "fingerprint": self.model.fingerprint,
            "dim": snapshot.text_vectors.shape[1],
            "items": len(snapshot.catalog),
            "texts": len(snapshot.text_vectors),
            "index": snapshot.index.kind,
            "trained_until": self.model.about.get("until"),
            "canaries": canaries(snapshot),
            ITEMS_AS_OF: self.items_as_of,
            RETRAIN: to_be_trained(self.workspace),
        }

    def _compare(self, snapshot: Snapshot) -> tuple[dict[str, Any], dict[str, Any]]:
        from recsys.refresh.drift import drift
        from recsys.refresh.quality_gates import check

        previous, cache = self.previous, self.workspace.cache
        assert previous is not None
        about = previous.manifest.about
        old = BundleUnderTest(ServedModel(previous.files), self._before, previous.id, about["model"], cache, about["inputs"])
        new = BundleUnderTest(self.model, snapshot, "", self._model_key, cache, self.inputs)
        return check(old, new, self.settings.refresh), drift(old, new)

    def _report(self, bundle_id: str, about: dict[str, Any]) -> None:
        text = json.dumps({"bundle_id": bundle_id, "gates": about["gates"], **about["drift"]}, indent=2)
        try:
            write_whole(self.workspace.reports / "drift.json", text)
        except OSError as error:  # the bundle is already in use, and its manifest holds the same figures
            _log.warning("%s cannot be written: %s", self.workspace.reports / "drift.json", error.strerror or error)


def current_model(workspace: Workspace, settings: Settings) -> Model:
    """Return the workspace's model; if none is trained, the pretrained encoder, with a warning.

    Raises
    ------
    ModelError: the trained model cannot be read.
    """
    if not list_bundles(workspace.models):
        _log.warning("no model has been trained: the pretrained text encoder is used and nothing is ranked; run `recsys train`")
        return Model.untrained(settings)
    try:
        return Model.from_files(Bundle.open(workspace.models).files)
    except BundleError as error:
        raise ModelError(f"the trained model cannot be read ({str(error).split(': run ')[0]}): run `recsys train` again") from error


def build_index(workspace: Workspace, settings: Settings, device: Device = "auto", cluster: Cluster | None = None) -> str:
    """Encode on `device` or on a cluster, count, index, and publish with the model as one bundle. Return a summary for the user."""
    with workspace.alone():
        sweep(workspace)
        return publish_tables(workspace, settings, device=device, cluster=cluster)[0]


def publish_tables(
    workspace: Workspace, settings: Settings, gated: bool = False, device: Device = "auto", cluster: Cluster | None = None
) -> tuple[str, dict[str, Any] | None]:
    """Publish the ingested tables.

    Parameters
    ----------
    gated : bool
        Whether the bundle must pass the quality gates against the bundle in use.
    device : Device
        Where texts are encoded.
    cluster : Cluster, optional
        Encodes them in place of this process.

    Returns
    -------
    tuple of str and dict or None
        A summary for the user, and the drift from the bundle in use.

    Raises
    ------
    RefusedError: a gate did not pass.
    """
    # Before the tables are read, so that an event that arrives in between is counted by the next refresh.
    key, previous, read = inputs(workspace, settings), bundle_in_use(workspace, settings), workspace.events.last()
    catalog, log = workspace.load(settings.events)
    _log.info("%s", log.clock)
    if said := _unchanged(previous, key, settings, gated=gated):
        return said, None
    as_of = items_as_of(workspace.data)
    build = Build(workspace, settings, current_model(workspace, settings), key, previous, gated, device, read, as_of, cluster)
    message, drift = build.publish(catalog, log)
    return "\n".join((message, *settle(workspace, previous, as_of))), drift


def build(workspace: Workspace, settings: Settings, model: Model, catalog: Catalog, log: Interactions) -> str:
    """Publish a bundle of these tables. Vectors that the bundle in use has from the same model are reused."""
    key, previous = key_of(workspace, settings, model, catalog, log), bundle_in_use(workspace, settings)
    if said := _unchanged(previous, key, settings, gated=False):
        return said
    return Build(workspace, settings, model, key, previous).publish(catalog, log)[0]


def _unchanged(bundle: Bundle | None, inputs: str, settings: Settings, *, gated: bool) -> str | None:
    """Say that a bundle is what would be built; None if it is not. A build without gates carries no part over."""
    if bundle is None or bundle.manifest.about["inputs"] != inputs or (not gated and Fit.behind(bundle.manifest.about)):
        return None
    notes = (*Coverage.stored(bundle.manifest.about).notes, *settings.search.read_synonyms().notes)
    return "\n".join((f"nothing has changed: bundle {bundle.id} stays in use", *notes))
