"""Campaigns: whom to send which offer under a budget, what to write, and what it brought."""
