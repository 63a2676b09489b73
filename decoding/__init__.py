"""Decoding: the sampled latent, as a picture in a file."""
