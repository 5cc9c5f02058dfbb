"""From trained cells to packed models that hold and run what was trained, bit for bit."""
