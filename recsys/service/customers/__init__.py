"""The routes of customers."""
