"""Statistical tests for scores of cross-validation.

The functions take plain arrays and return small results; they know nothing of the files or models
that the scores came from. NaN means that the data cannot give a value; `Result.note` says why.
"""
