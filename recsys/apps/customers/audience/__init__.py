"""The ranker turned round: who is most likely to buy a product."""
