"""From contacts to a file: which rows and columns, how they are written, and the job that does it."""
