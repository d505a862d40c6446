"""An encoder whose vectors are known: colors are directions, so every score can be counted by hand."""

import numpy as np
import torch

from harmoclip.evaluate.regions import RegionVectors
from harmoclip.evaluate.samples import keep_usable_boxes, to_pil, without_pixels

WORDS = ("red", "green", "blue")


def words(text):
    """One axis a color word; a text without one has a direction of its own."""
    found = [float(word in text.lower()) for word in WORDS]
    return torch.tensor([*found, 1.0 if not any(found) else 0.1])


def mean_color(picture):
    """The mean red, green and blue of a picture, and a little."""
    pixels = torch.from_numpy(np.array(to_pil(picture), dtype=np.float32)) / 255
    return torch.cat([pixels.mean((0, 1)), torch.tensor([0.05])])


class ColorEncoder:
    """Takes the place of an Encoder: an image or a box is its mean color, a text the colors that it names."""

    def image_vectors(self, read, count, name=None):
        return torch.stack([mean_color(read(i)) for i in range(count)])

    def text_vectors(self, texts):
        return torch.stack([words(text) for text in texts])

    def class_vectors(self, names, prompts):
        return torch.nn.functional.normalize(self.text_vectors(names))

    def region_vectors(self, samples, regions="dense"):
        usable = [keep_usable_boxes(samples, i) for i in range(len(samples))]
        vectors = [mean_color(crop) for u in usable for crop in self._crops(u.sample)]
        return RegionVectors(
            [without_pixels(u.sample) for u in usable],
            torch.nn.functional.normalize(torch.stack(vectors)) if vectors else torch.empty(0, 4),
            torch.cat([u.rows for u in usable]),
            tuple(text for u in usable for text in u.left_out),
        )

    def _crops(self, sample):
        width, height = sample.size
        for x1, y1, x2, y2 in sample.boxes.tolist():
            corners = (x1 * width, y1 * height, x2 * width, y2 * height)
            yield to_pil(sample.image).crop(tuple(map(round, corners)))
