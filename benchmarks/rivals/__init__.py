"""What `benchmarks/tradeoff.py` is made of: the data, every objective, training, and the report."""
