"""Opens the assistant over a bundle: what is wrong with its files is said once, and conversations that nobody continues are removed."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from features.errors import RecsysError
from recsys.apps.assistant.pipeline import Assistant

if TYPE_CHECKING:
    from recsys.apps.search.pipeline import Search
    from recsys.dialogue.conversations import Conversations
    from recsys.settings.assistant import AssistantConfig

DAY = 86_400
_log = logging.getLogger(__name__)


def open_assistant(search: Search, config: AssistantConfig, conversations: Conversations) -> Assistant | None:
    """Return an assistant that has read all it needs; None where a file or a tool is wrong, and the log says which.

    Lists and searches are answered whatever is wrong here.
    """
    try:
        assistant = Assistant(search, config, conversations)
        for line in assistant.templates.missing():
            _log.warning("%s", line)
        expired = conversations.expire(int(time.time() - DAY * config.keep_days))
        assistant.warm()
    except RecsysError as error:
        _log.error("the assistant does not answer: %s", error)
        return None
    if expired:
        _log.info("%d conversations were removed: nobody continued them for %g days", expired, config.keep_days)
    return assistant
