"""Judges the results of a paper's experiments, whoever ran them: reads files, trains nothing."""
