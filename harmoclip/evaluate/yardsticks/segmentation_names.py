"""The class lists of zero-shot segmentation, as SCLIP (arXiv 2312.01597) published them.

Commas separate several names of a class, of which the most similar one counts.
"""

from harmoclip.data.formats.coco_names import COCO_SYNONYMS

NO_OBJECT = (
    "sky, wall, tree, wood, grass, road, sea, river, mountain, sands, desk, bed, building, cloud, lamp, "
    "door, window, wardrobe, ceiling, shelf, curtain, stair, floor, hill, rail, fence"
)
"""What stands for the background of VOC and of COCO-Object: all that is no object."""

_CLOTHED = "shirt", "jeans", "dress", "sweater", "skirt", "jacket"
_PERSON = ", ".join(["person", *(f"person in {clothes}" for clothes in _CLOTHED)])

VOC = (
    "aeroplane", "bicycle", "bird", "ship", "bottle", "bus", "car", "cat", "chair", "cow", "table", "dog",
    "horse", "motorbike", _PERSON, "potted plant", "sheep", "sofa", "train",
    "television monitor, tv monitor, monitor, television, screen",
)  # fmt: skip
CONTEXT = (
    "aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book", "bottle",
    "building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth", "computer", "cow", "cup",
    "curtain", "dog", "door", "fence", "floor", "flower", "food", "grass", "ground", "horse", "keyboard",
    "light", "motorbike", "mountain", "mouse", "person", "plate", "platform", "potted plant", "road",
    "rock", "sheep", "shelves", "sidewalk", "sign", "sky", "snow", "sofa", "table", "track", "train",
    "tree", "truck", "tv monitor", "wall", "water", "window", "wood",
)  # fmt: skip
CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
_THINGS = tuple(COCO_SYNONYMS)
COCO_OBJECT = (f"{_PERSON}, body", *_THINGS[1:])
COCO_STUFF = (
    *_THINGS,
    "banner", "blanket", "branch", "bridge", "building", "bush", "cabinet", "cage", "cardboard", "carpet",
    "ceiling", "ceiling tile", "cloth", "clothes", "clouds", "counter", "cupboard", "curtain", "desk", "dirt",
    "door", "fence", "floor marble", "floor", "floor stone", "floor tile", "floor wood", "flower", "fog",
    "food", "fruit", "furniture", "grass", "gravel", "ground", "hill", "house", "leaves", "light", "mat",
    "metal", "mirror", "moss", "mountain", "mud", "napkin", "net", "paper", "pavement", "pillow", "plant",
    "plastic", "platform", "playing field", "railing", "railroad", "river", "road", "rock", "roof", "rug",
    "salad", "sand", "sea", "shelf", "sky", "skyscraper", "snow", "solid", "stairs", "stone", "straw",
    "structural", "table", "tent", "textile", "towel", "tree", "vegetable", "wall brick", "wall concrete",
    "wall", "wall panel", "wall stone", "wall tile", "wall wood", "water", "waterdrops", "window blind",
    "window", "wood",
)  # fmt: skip
