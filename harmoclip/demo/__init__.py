"""The main job in minutes: the same small CLIP trained plain and harmonized, and both sides measured."""
