"""Pages of a shop: their rows, what was shown, experiments."""
