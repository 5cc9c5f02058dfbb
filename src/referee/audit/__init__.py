"""The audit: what in data, protocol and results makes a number mean something else than it says."""
