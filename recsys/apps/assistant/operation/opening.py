"""Opens the assistant of a workspace: conversations that nobody continues are removed, and missing templates are said once."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from features.text.plain import counted
from recsys.apps.assistant.pipeline import Assistant

if TYPE_CHECKING:
    from recsys.apps.search.pipeline import Search
    from recsys.dialogue.conversations import Conversations
    from recsys.settings.assistant import AssistantConfig

DAY = 86_400
_log = logging.getLogger(__name__)


def open_assistant(search: Search, config: AssistantConfig, conversations: Conversations) -> Assistant:
    """Return an assistant whose templates and tools have been read.

    Raises
    ------
    RecsysError
        The file of templates or a tool is wrong, or the conversations cannot be read or written.
    """
    assistant = Assistant(search, config, conversations)
    for line in assistant.templates.missing():
        _log.warning("%s", line)
    assert assistant.tools is not None  # read here, so that what is wrong is said now
    expired = conversations.expire(int(time.time() - DAY * config.keep_days))
    if expired:
        _log.info("%s removed: nobody continued them for %g days", counted(expired, "conversation"), config.keep_days)
    return assistant
