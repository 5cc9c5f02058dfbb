"""From audio to checked tables of embeddings."""
