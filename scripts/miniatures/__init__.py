"""The pieces that scripts/train_miniatures.py makes miniature checkpoints from."""
