"""Defines `recsys campaign` and its commands."""

from __future__ import annotations

import typer

from recsys.cli.campaigns.copy import copy

campaign = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Campaigns: what to write.")
campaign.command()(copy)
