"""A fake of every ESP that Volley speaks to: strict as their documents, with faults on demand and webhooks of its own."""
