"""What `benchmarks/photographs.py` is made of: towers, photographs, measures and report."""
