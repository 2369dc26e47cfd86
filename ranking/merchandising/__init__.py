"""Merchandising: what a shop's people change in a list after it is ranked, when, and where."""
