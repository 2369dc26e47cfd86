"""`recsys mcp`: the shop as tools of a language model."""
