"""Defines the commands that judge offline."""
