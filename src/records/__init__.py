"""Files written whole, and records that prove them: what both packages know of a file on disk."""
