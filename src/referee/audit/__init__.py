"""What in data, protocol and results stands between the numbers and what they claim."""
