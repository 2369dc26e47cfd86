"""Defines `recsys mcp`."""

from __future__ import annotations

import typer

from recsys.cli.options import state_of


def mcp(context: typer.Context) -> None:
    """Offer the shop to a language model's client.

    Speaks the Model Context Protocol on stdin and stdout. The tools are search, recommend, similar and explain. It takes a new bundle, new
    prices and new stock into use without a restart. See docs/integration.md.
    """
    from recsys.cli.mcp.server import server

    state = state_of(context)
    server(state.workspace, state.settings).run("stdio")
