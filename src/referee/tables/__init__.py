"""From finished cells to tables: reads files only, never a model."""
