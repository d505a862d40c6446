"""Rules over the parse of a pipeline trained on news: they label the captions that the tagger learns from."""
