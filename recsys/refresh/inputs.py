"""The digests of all that a bundle is built from, by which a build knows that nothing has changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from features.storage.digests import digest, of_json, of_strings
from recsys.artifacts.bundle import LAYOUT, Bundle, list_bundles
from recsys.dialogue.examples import packaged
from recsys.dialogue.order_tool import flow_examples
from recsys.snapshot.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


def inputs(workspace: Workspace, settings: Settings) -> str:
    """Return the SHA-256 of all that a bundle is built from: tables, events, the model's id, settings, synonyms."""
    model: Any = Bundle.open(workspace.models).id if list_bundles(workspace.models) else _dumped(settings, "encoder", "tower", "retrieval")
    parts = [LAYOUT, *workspace.state(), model, _dumped(settings, "index", "search", "events"), settings.search.read_synonyms().rows]
    parts.append(repr(settings.reviews.read_aspects().aspects))
    parts += [of_json(dict(packaged())), settings.customers.models.model_dump(mode="json")]
    parts += [settings.refresh.refit_share, settings.refresh.refit_items_share]
    parts.append([flow_examples(settings.assistant), settings.assistant.intents.model_dump(mode="json")])
    return of_json(parts)


def _dumped(settings: Settings, *sections: str) -> list[Any]:
    return [getattr(settings, name).model_dump(mode="json") for name in sections]


def key_of(workspace: Workspace, settings: Settings, model: Model, catalog: Catalog, log: Interactions) -> str:
    """Return the digest by which `build` recognises a bundle of these tables; help pages come from the workspace."""
    pages = workspace.load_help_pages()
    texts = [] if pages is None else [*pages.question, *pages.answer, *pages.tags, *pages.link]
    data = fingerprint(catalog, log) + (hashlib.sha256(of_strings(texts)).hexdigest() if texts else "")
    return bundle_inputs(model.to_files(), settings, data)


def bundle_inputs(model_files: Mapping[str, bytes], settings: Settings, data: str) -> str:
    """Return the SHA-256 of all that a bundle is built from: model, index settings, `fingerprint` of the tables."""
    sections = (settings.index, settings.search, settings.customers.models)
    parts = [str(LAYOUT), data, *(one.model_dump_json() for one in sections), digest(model_files)]
    parts.append(of_json(settings.search.read_synonyms().rows))
    return hashlib.sha256(of_strings(parts)).hexdigest()
