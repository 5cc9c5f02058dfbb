"""Quantised layers, experts, routers and curiosity rules."""
