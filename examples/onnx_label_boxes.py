"""Name the boxes of a photograph with onnxruntime alone: no torch, no harmoclip where it runs.

`export` writes the region encoder of a model, the vectors of the names and how pixels are scaled into a
folder; `label` needs numpy, pillow and onnxruntime, and reads nothing else. Without a command both run.
The photograph (an astronaut, NASA, public domain) comes with scikit-image, which the extra `examples`
brings, as `onnx` brings onnxruntime.
"""

import json
from pathlib import Path

import numpy as np
import typer
from PIL import Image

BOXES = {  # x1, y1, x2, y2 in pixels
    "the face of a woman": (153, 15, 302, 190),
    "an orange space suit": (20, 180, 362, 512),
    "a flag": (0, 0, 95, 512),
    "a black helmet": (278, 344, 512, 512),
}
app = typer.Typer()


@app.command()
def export(out: Path, name: str = "ViT-B-32", pretrained: str = "") -> None:
    """Write `regions.onnx` and `names.json` into a folder."""
    import torch

    import harmoclip
    from harmoclip.data import Preprocessing
    from harmoclip.exportable import RegionEncoder, export_onnx

    harmo = harmoclip.harmonize(harmoclip.load_model(name, pretrained=pretrained or None)).eval()
    out.mkdir(parents=True, exist_ok=True)
    export_onnx(RegionEncoder(harmo), out / "regions.onnx")
    names = list(BOXES)
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(harmo.towers.encode_text(harmo.tokenizer(names)).float())
    pixels = Preprocessing.of(harmo.model)
    settings = {
        "size": pixels.size,
        "mean": pixels.mean,
        "std": pixels.std,
        "names": dict(zip(names, vectors.tolist(), strict=True)),
    }
    (out / "names.json").write_text(json.dumps(settings))


@app.command()
def label(folder: Path, photograph: Path) -> None:
    """Print the name of each box."""
    import onnxruntime

    settings = json.loads((folder / "names.json").read_text())
    height, width = settings["size"]
    image = Image.open(photograph).convert("RGB")
    # made to fit, not cut: boxes in fractions of the image stay what they are
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 255
    pixels = (pixels - np.asarray(settings["mean"], np.float32)) / np.asarray(settings["std"], np.float32)
    boxes = np.asarray(list(BOXES.values()), np.float32) / np.asarray(image.size * 2, np.float32)
    session = onnxruntime.InferenceSession(folder / "regions.onnx")
    (regions,) = session.run(
        None,
        {
            "images": pixels.transpose(2, 0, 1)[None],
            "boxes": boxes,
            "image_index": np.zeros(len(boxes), np.int64),
        },
    )
    names = list(settings["names"])
    guesses = (regions @ np.asarray(list(settings["names"].values()), np.float32).T).argmax(1)
    for right, guess in zip(BOXES, guesses, strict=True):
        print(f"{'right' if names[guess] == right else 'wrong'}  {right:28s} -> {names[guess]}")


@app.callback(invoke_without_command=True)
def both(context: typer.Context, name: str = "ViT-B-32", out: Path = Path("onnx")) -> None:
    """Both, one after the other."""
    if context.invoked_subcommand:
        return
    from skimage import data

    export(out, name)
    photograph = out / "astronaut.png"
    Image.fromarray(data.astronaut()).save(photograph)
    label(out, photograph)


if __name__ == "__main__":
    app()
