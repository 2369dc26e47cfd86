"""Defines `recsys campaign` and its commands."""

from __future__ import annotations

import typer

from recsys.cli.campaigns.copy import copy
from recsys.cli.campaigns.evaluate import evaluate
from recsys.cli.campaigns.plan import plan

campaign = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Campaigns: whom to send which offer, what to write, and what it brought."
)
campaign.command()(plan)
campaign.command()(evaluate)
campaign.command()(copy)
