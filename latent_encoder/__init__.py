"""Latent encoder: a picture of a person, scaled, into the latent space of the VAE."""
