"""Tests for scores of cross-validation: plain arrays in, small results out.

Nothing here knows what was trained. NaN means "cannot be told"; `note` says why.
"""
