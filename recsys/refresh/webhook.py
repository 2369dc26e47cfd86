"""Posts messages to a webhook of the configuration, if there is one."""

from __future__ import annotations

import json
import logging
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import HttpUrl

_log = logging.getLogger(__name__)


def post(address: HttpUrl | None, message: Mapping[str, Any], seconds: float) -> None:
    """Post a message as JSON, if there is an address.

    A failed post is a warning, not an error, because what it tells of is done. The address may be a secret and is not
    logged.

    Parameters
    ----------
    seconds : after which the post has failed.
    """
    if address is None:
        return
    body = json.dumps(message).encode()
    request = urllib.request.Request(str(address), body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=seconds):
            pass
    except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors; a reply that is not HTTP is not
        _log.warning("the post to the webhook failed (%s)", getattr(error, "code", type(error).__name__))
