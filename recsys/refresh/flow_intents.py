"""The classifier of what customers want of the assistant: the flows by their examples, and each help page by its question and tags.

The help pages are what a flow is told from. It is fitted when a bundle is built, and kept in the cache until an example, a page or the text
encoder changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.storage.digests import of_json
from features.text.intents.model import IntentModel
from recsys.artifacts.job_cache import read_files, write_files
from recsys.progress import terminal_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from features.data.help_pages import HelpPages
    from features.text.encoder import TextEncoder
    from features.text.intents.config import IntentConfig


def flow_intents(
    encoder: TextEncoder, flows: Mapping[str, Sequence[str]], pages: HelpPages | None, config: IntentConfig, cache: Path
) -> IntentModel | None:
    """Return the classifier; None for a shop without help pages, whose few flows are told by their nearest example.

    Parameters
    ----------
    flows : name of a flow -> how customers ask for it.
    """
    if pages is None or not len(pages) or not flows:
        return None
    examples = {**flows, **_pages(pages, taken=set(flows))}
    key = of_json([encoder.fingerprint, config.model_dump(mode="json"), {name: list(texts) for name, texts in examples.items()}])
    folder = cache / f"intents-{key[:16]}"
    if not folder.is_dir():
        from features.text.intents.trainer import Examples, fit_intents

        texts = [text for of_one in examples.values() for text in of_one]
        labels = np.repeat(np.arange(len(examples)), [len(of_one) for of_one in examples.values()])
        write_files(folder, fit_intents(encoder, Examples.of(texts, labels, tuple(examples)), config, 0, terminal_progress).to_files())
    return IntentModel.from_files(read_files(folder))


def _pages(pages: HelpPages, taken: set[str]) -> dict[str, list[str]]:
    """Return of each page its question and its tags, by the question; of equal questions, all tags."""
    out: dict[str, list[str]] = {}
    for question, tags in zip(pages.question, pages.tags, strict=True):
        if question not in taken:
            out.setdefault(question, [question]).extend(tag.strip() for tag in tags.split(",") if tag.strip())
    return out
