"""The processes of `recsys serve`: a supervisor, and workers that answer, each from one bundle."""
