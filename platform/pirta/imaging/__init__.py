"""Read, judge and prepare diffusion volumes."""
