"""PIRTA: radiology reports from diffusion MRI, grounded in retrieved, verified cases."""
