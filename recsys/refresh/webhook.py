"""Word to a webhook that the shop has configured; nothing is sent where none is."""

from __future__ import annotations

import json
import logging
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsys.settings.refresh import RefreshConfig

_log = logging.getLogger(__name__)


def post(config: RefreshConfig, message: dict[str, str]) -> None:
    """Post as JSON. A post that fails is a warning and no error: the refresh has done its work. The address may be a secret: not logged."""
    if config.webhook is None:
        return
    body = json.dumps(message).encode()
    request = urllib.request.Request(str(config.webhook), body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=config.webhook_seconds):
            pass
    except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors; a reply that is not HTTP is none
        _log.warning("the webhook could not be told (%s)", getattr(error, "code", type(error).__name__))
