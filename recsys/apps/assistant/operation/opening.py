"""Opens the assistant of a workspace: conversations that nobody continues are removed, and missing templates are said once."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from features.text.plain import counted
from recsys.apps.assistant.pipeline import Assistant

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.apps.search.pipeline import Search
    from recsys.dialogue.conversations import Conversations
    from recsys.settings.apps.assistant import AssistantConfig
    from recsys.wording.rephraser import Outcome

DAY = 86_400
_log = logging.getLogger(__name__)


def open_assistant(
    search: Search, config: AssistantConfig, conversations: Conversations, count_wording: Callable[[Outcome], None] = lambda _: None
) -> Assistant:
    """Return an assistant whose templates and tools have been read.

    Parameters
    ----------
    count_wording : is told what became of each rewording, for a metric.

    Raises
    ------
    RecsysError
        The file of templates or a tool is wrong, or the conversations cannot be read or written.
    """
    assistant = Assistant(search, config, conversations, count_wording)
    for line in assistant.templates.missing():
        _log.warning("%s", line)
    assert assistant.tools is not None  # read here, so that what is wrong is said now
    expired = conversations.expire(int(time.time() - DAY * config.keep_days))
    if expired:
        _log.info("%s removed: nobody continued them for %g days", counted(expired, "conversation"), config.keep_days)
    return assistant
