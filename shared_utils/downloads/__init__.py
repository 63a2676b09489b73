"""The model files: fetched from Hugging Face or a mirror, resumed, and held against their SHA-256."""
