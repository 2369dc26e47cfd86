"""The pages of `recsys serve`: recommendations with reasons, a map of the catalogue, reports of other commands.

Plain forms and links: no scripts run in the browser, and nothing is loaded from other hosts.
"""
