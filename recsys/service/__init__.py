"""`recsys serve`: the recommender over HTTP."""
