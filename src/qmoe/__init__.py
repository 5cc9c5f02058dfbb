"""Curiosity-driven quantised mixtures of experts, as published and corrected."""
