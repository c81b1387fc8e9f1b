"""From what a marketer wrote to a message's HTML and text: merge tags are lifted out first and put back last."""
