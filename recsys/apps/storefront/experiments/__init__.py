"""Live experiments: which units see which arm, and what came of it."""
