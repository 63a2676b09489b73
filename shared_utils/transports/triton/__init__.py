"""The way in through Triton Inference Server, and from a stage to one that runs there."""
