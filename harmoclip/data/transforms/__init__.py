"""From a sample's image to a model's input, with the boxes moved along."""
