"""Settings of the apps."""
