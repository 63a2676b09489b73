"""ComfyUI, in one place: found or fetched, started headless, its nodes run by name, its models loaded once."""
