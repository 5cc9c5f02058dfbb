"""Latency, energy and memory of packed models, in SI units."""
