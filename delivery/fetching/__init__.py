"""Fetching whom a sending account's provider sends nothing to."""
