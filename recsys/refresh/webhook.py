"""Posts messages to the webhook of the configuration, if there is one."""

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
    """Post a message as JSON to `refresh.webhook`, if it is set.

    A failed post is a warning, not an error, because the refresh is done. The address may be a secret and is not
    logged.
    """
    if config.webhook is None:
        return
    body = json.dumps(message).encode()
    request = urllib.request.Request(str(config.webhook), body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=config.webhook_seconds):
            pass
    except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors; a reply that is not HTTP is not
        _log.warning("the post to the webhook failed (%s)", getattr(error, "code", type(error).__name__))
