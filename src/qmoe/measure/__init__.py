"""Size, latency and energy of packed models."""
