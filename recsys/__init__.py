"""The face of the recommender: command line, configuration, workspace and bundles, the verbs."""
