"""What the shop says to a customer: facts, templates with facts, a checker of wordings, and an optional language model that rephrases."""
