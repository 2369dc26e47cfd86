"""Towers that the processes of a cluster train together."""
