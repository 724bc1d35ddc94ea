"""Metrics with intervals, and figures."""
