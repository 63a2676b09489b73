"""Text encoder: the prompt and the pictures it speaks of, as conditioning for the sampler."""
