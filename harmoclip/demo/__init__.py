"""The main job in five minutes: the same small CLIP trained plain and harmonized, and both sides measured."""
