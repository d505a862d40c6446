"""What a model sees, drawn on Matplotlib axes, which every function returns; `draw_phrases` gives an SVG."""

from harmoclip.draw.boxes import draw_boxes
from harmoclip.draw.images import PALETTE, draw_image, pixels, row_of_axes, save
from harmoclip.draw.phrases import draw_phrases
from harmoclip.draw.similarity import draw_matrix, draw_similarity

__all__ = [
    "PALETTE",
    "draw_boxes",
    "draw_image",
    "draw_matrix",
    "draw_phrases",
    "draw_similarity",
    "pixels",
    "row_of_axes",
    "save",
]


def __dir__() -> list[str]:
    return sorted(__all__)
