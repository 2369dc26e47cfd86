"""The routes of the storefront."""
