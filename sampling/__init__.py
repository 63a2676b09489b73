"""Sampling: from conditioning and latent to the latent of the new picture."""
