"""What people look at: the results page and the notebook. Reads the files of a run only."""
