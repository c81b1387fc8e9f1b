"""What is done to many contacts at once: the deeds, each with its undoing, and the job that carries them out."""
