"""The image encoder in torch, and its checkpoints."""
