"""Sending domains: the records they need, what DNS says of them, and the signature of their messages."""
