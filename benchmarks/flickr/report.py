"""The tables and the plot of the full run on photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rivals.report import COST, EQUAL_TIME, section, table, write_files

TITLES = {
    "r1": "R@1",
    "r5": "R@5",
    "phrase_r1": "R@1 by phrases",
    "box_top1": "box Top-1",
    "box_top5": "box Top-5",
    "box_macro_top1": "box Top-1, macro",
    "ground": "phrase to box",
    "attribute": "attribute",
}


def write_report(results: dict[str, Any], folder: Path) -> None:
    """Write `photographs.json`, `photographs.md` and `photographs.png`."""
    title = "photographs: same start, same steps"
    write_files(results, markdown(results), folder / "photographs", "box Top-1 of 100 nouns", title)


def markdown(results: dict[str, Any]) -> str:
    """The tables as Markdown."""
    s = results["settings"]
    parts = [
        "# Both sides of every objective on photographs\n",
        f"EfficientNet-Lite0 (the last {s['blocks']} of its 16 blocks, its head and projection trained) and "
        f"MiniLM-L6 (its last layer and projection trained) on Flickr30k Entities, batch {s['batch_size']}; "
        f"{s['start_steps']} steps on captions alone make the start of each seed, then {s['steps']} steps of "
        f"each objective. harmoclip's recipe ends with an average of {s['share']} of the trained weights and "
        "the rest of the start's (`harmoclip.interpolate`); CLIPSelf's has one of its own. Mean and standard "
        "deviation over seeds. R@1 and R@5 are the mean of both directions among 999 held-out photographs "
        "with five captions each. Rows with five captions take five of each photograph a step, ours with the "
        "phrases of two and synonyms left out. Boxes are named among the "
        "100 most frequent head nouns; phrases choose among the boxes of their photograph; attributes are "
        "colors, numbers and materials, each among its kind.\n",
        "## Equal steps\n",
        table(results["equal_steps"], titles=TITLES, cost=True),
        f"\n{COST} R@1 by phrases ranks the 100 best again by where each phrase of the caption is in the "
        "image; each half of the photographs takes the share that is best for the other. Rows that have none "
        "were measured before the score was as it is.\n",
        *section(
            "Averaged with the start",
            f"The same runs, all with {s['share']} of the trained weights and the rest of the start's.",
            results["averaged"],
            titles=TITLES,
        ),
        *section("Equal time", EQUAL_TIME, results["equal_time"], titles=TITLES),
        *section("Ablation", "One change each to the defaults.", results["ablation"], titles=TITLES),
    ]
    return "\n".join(parts) + "\n"
