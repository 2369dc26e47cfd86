"""Items that are related to others, or due: complements, alternatives, what is bought again, and what grows."""
