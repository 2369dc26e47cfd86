"""Plans a campaign: offers, who may be written to, what is expected of each, and the choice."""
