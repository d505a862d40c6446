"""Data sets as they are published or kept, read to samples; `registry` knows them all."""
