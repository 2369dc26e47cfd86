"""The rows of a page: where each finds its items, and what it says of them."""
