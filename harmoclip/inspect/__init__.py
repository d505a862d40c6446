"""What harmonizing finds in a model."""
