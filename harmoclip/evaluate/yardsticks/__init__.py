"""One module a yardstick; `harmoclip.evaluate.registry` knows them all."""
