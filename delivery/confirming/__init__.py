"""Double opt-in: the mail that asks, who sends it, and what its link does."""
