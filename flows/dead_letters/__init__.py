"""Dead letters: each once, as they stand on their topic (``reading``), and what is done about them (``desk``)."""
