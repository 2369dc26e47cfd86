"""The pages of `recsys serve`: recommendations with reasons, a map of the catalogue, reports of other commands.

Plain forms and links, and nothing is loaded from other hosts. One script runs in the browser, on the search page: it fetches suggestions,
and the page works without it.
"""
