"""Nearest cases by cosine similarity, and who may see them."""
