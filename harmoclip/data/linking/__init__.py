"""Which phrase names which box, where nobody said it."""
