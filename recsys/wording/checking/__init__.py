"""Compares a wording with the text and the facts that it rewords."""
