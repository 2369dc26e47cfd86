"""Searches for settings on validation windows: `recsys tune`."""
