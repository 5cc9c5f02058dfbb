"""The claims of the paper, and the verdict on each: reads files only, never a model."""
