"""The webhooks of each provider as it documents them, one module each.

Each has `new_key()`, `KINDS` (what it can tell of), and `posts(events, key, url, signed_at)`.
"""
