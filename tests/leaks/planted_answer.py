"""Code that is loaded by its path."""

ANSWER = 42.0
