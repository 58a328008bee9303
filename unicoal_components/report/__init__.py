"""One HTML page from an evaluation."""
