"""Experiments of other tools and times, brought into the configured store."""
