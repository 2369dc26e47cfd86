"""Towers that several processes train together."""
