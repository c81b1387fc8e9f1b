"""Webhooks: what ESPs tell us of messages. A call is checked and kept in the web process, and read by workers."""
