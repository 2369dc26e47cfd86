"""The command line of customers."""
