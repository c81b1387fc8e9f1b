"""From a file that someone exported somewhere to contacts: reading, understanding cells, merging in sets."""
