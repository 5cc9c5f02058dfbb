"""From a number in a table back to the cells, files, code and commands that it came from."""
