"""Boxes in, vectors out: name the boxes of a photograph from an open list of names.

The photograph (an astronaut, NASA, public domain) comes with scikit-image, which the extra `examples`
brings. A model that was never harmonized names boxes poorly; give `--pretrained` the weights that
`harmoclip train` wrote to see the difference.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import open_clip
import torch
import typer
from PIL import Image
from skimage import data

import harmoclip
from harmoclip.data import Sample, transform_for
from harmoclip.draw import draw_boxes

BOXES = {  # x1, y1, x2, y2 in pixels
    "the face of a woman": (153, 15, 302, 190),
    "an orange space suit": (20, 180, 362, 512),
    "a flag": (0, 0, 95, 512),
    "a model of a space shuttle": (355, 0, 472, 290),
    "a black helmet": (278, 344, 512, 512),
    "a round patch": (133, 348, 209, 424),
}


@torch.no_grad()
def main(name: str = "ViT-B-32", pretrained: str | None = None, out: Path = Path("labelled.png")) -> None:
    model = open_clip.create_model(name, pretrained=pretrained)
    tokenizer = open_clip.get_tokenizer(name)
    photograph = Image.fromarray(data.astronaut())
    boxes = torch.tensor(list(BOXES.values()), dtype=torch.float32) / photograph.width
    sample = transform_for(model)(Sample(photograph, "an astronaut", boxes))  # boxes move with the picture
    names = list(BOXES)

    with harmoclip.harmonize(model.eval()) as harmo:
        regions = harmo.encode_regions(torch.as_tensor(sample.image)[None], [sample.boxes])
    texts = torch.nn.functional.normalize(model.encode_text(tokenizer(names)).float(), dim=-1)
    guesses = (regions @ texts.T).argmax(1).tolist()

    for right, guess in zip(names, guesses, strict=True):
        print(f"{'right' if names[guess] == right else 'wrong'}  {right:28s} -> {names[guess]}")
    draw_boxes(photograph, boxes, [names[guess] for guess in guesses])
    plt.savefig(out, dpi=120)
    print(f"the picture is {out}")


if __name__ == "__main__":
    typer.run(main)
