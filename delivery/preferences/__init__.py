"""The preference centre: what people choose for themselves by the link in a message, in their language."""
