"""Phantom cohorts with known answers, and cohort tables on disk."""
