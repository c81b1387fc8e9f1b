"""Opens and clicks: links and the pixel in a message, the requests they lead to, and what was a person's doing."""
