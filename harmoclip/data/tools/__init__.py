"""Check, convert and draw data sets, and keep their phrases."""
