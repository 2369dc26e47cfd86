"""The command line of the storefront."""
