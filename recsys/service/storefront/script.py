"""Serves the script that a shop's pages load."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

script_router = APIRouter(include_in_schema=False)


@script_router.get("/storefront.js")
async def storefront_script() -> Response:
    """Return the script that fills rows and sends actions; see docs/integration.md."""
    headers = {"Cache-Control": "max-age=300", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(script(), media_type="text/javascript; charset=utf-8", headers=headers)


@cache
def script() -> bytes:
    """Return the script."""
    return files("recsys.service.storefront").joinpath("storefront.js").read_bytes()
