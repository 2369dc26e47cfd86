"""The page that `recsys serve` has at `/`: what customers would be shown and why, a map of the catalogue, what other commands reported.

Plain forms and links over templates: nothing runs in the browser, and nothing is loaded from anywhere else.
"""
