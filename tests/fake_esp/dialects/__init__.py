"""The APIs as documented, one module each.

Each has `handle(request, account) -> Reply`, and `throttled(retry_after)` and `broken(status)`, which give an Answer in
the provider's own words. A whole call is refused by raising `Refused`.
"""
