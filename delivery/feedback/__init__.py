"""What comes back of what was sent: read from streams in any order and however often, applied once and in sets."""
