"""Builders with sensible defaults: a_contact(workspace, subscribed_to=[news]) and so on."""
