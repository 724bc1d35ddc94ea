"""Benchmarks: ratios against named, fair baselines, both measured in one run on one machine."""
