"""Posts conversations that a person must take over to the shop's webhook, in the background: the customer waits for no other server."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from recsys.refresh.webhook import post

if TYPE_CHECKING:
    from pydantic import HttpUrl

    from recsys.dialogue.state import DialogueState

SECONDS = 5.0  # after which a post has failed
MOST_WAITING = 100  # posts; a server that hangs must not fill the memory
_log = logging.getLogger(__name__)


class HandOvers:
    """Posts one conversation after the other. A post that fails is a warning: the conversation stands on the page in any case.

    Parameters
    ----------
    address : of the webhook; None posts nothing.
    """

    def __init__(self, address: HttpUrl | None) -> None:
        self._address = address
        self._free = threading.BoundedSemaphore(MOST_WAITING)
        self._thread = ThreadPoolExecutor(1, "hand-over")

    def tell(self, conversation: str, state: DialogueState) -> None:
        """Post a conversation that has just been handed over."""
        if self._address is None:
            return
        if not self._free.acquire(blocking=False):
            _log.warning("a hand-over was not posted to the webhook: %d others wait for it", MOST_WAITING)
            return
        self._thread.submit(self._post, message_of(conversation, state))

    def _post(self, message: dict[str, Any]) -> None:
        try:
            post(self._address, message, SECONDS)
        finally:
            self._free.release()


def message_of(conversation: str, state: DialogueState) -> dict[str, Any]:
    """Return what is posted: the transcript with personal data masked, and nobody's id."""
    return {
        "event": "hand_over",
        "conversation": conversation,
        "reason": state.handed_over,
        "language": state.language,
        "tried": list(state.tried),
        "transcript": [turn.model_dump() for turn in state.transcript],
        "state": state.model_dump(mode="json", exclude={"transcript", "tried"}),
    }
