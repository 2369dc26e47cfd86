"""The classifier of what a message wants of the assistant: the packaged examples, the flows, and all help pages as one intent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.storage.digests import of_json
from features.text.intents.messages import MessageIntents
from recsys.artifacts.job_cache import read_files, write_files
from recsys.dialogue.examples import folded, packaged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from features.data.help_pages import HelpPages
    from retrieval.query_tower.recent_queries import QuestionEncoder

SHOP = "shop"  # the intent of a question that help pages may answer
BATCH = 256


def message_intents(
    model: QuestionEncoder, fingerprint: str, flows: Mapping[str, Sequence[str]], pages: HelpPages | None, cache: Path
) -> MessageIntents:
    """Return the classifier, from the cache if nothing that it depends on has changed.

    Parameters
    ----------
    fingerprint : of what encodes.
    flows : name of a flow -> how customers ask for it.
    """
    examples = {name: list(texts) for name, texts in packaged().items()}
    for name, texts in flows.items():
        examples.setdefault(name, []).extend(texts)
    if pages is not None:
        for question, tags in zip(pages.question, pages.tags, strict=True):
            examples[SHOP] += [question, *(tag.strip() for tag in tags.split(",") if tag.strip())]
    folder = cache / f"messages-{of_json([fingerprint, examples])[:16]}"
    if not folder.is_dir():
        pairs = list(dict.fromkeys((name, text) for name, texts in examples.items() for text in texts))
        texts = [text for _, text in pairs]
        vectors = np.concatenate([model.encode_queries(texts[i : i + BATCH]).vectors for i in range(0, len(texts), BATCH)])
        fitted = MessageIntents.fit([folded(text) for text in texts], vectors, [name for name, _ in pairs])
        write_files(folder, fitted.to_files())
    return MessageIntents.from_files(read_files(folder))
