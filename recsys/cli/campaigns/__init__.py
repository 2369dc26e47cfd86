"""The command line of campaigns."""
