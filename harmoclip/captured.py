"""What the taps read during one forward of a model."""

from __future__ import annotations

from typing import Any

from harmoclip.errors import CaptureError


class Captured:
    """What one `capture()` read from a model: activations by tower and name."""

    def __init__(self) -> None:
        self.image: dict[str, Any] = {}
        self.text: dict[str, Any] = {}
        self.repeated: set[str] = set()

    def of(self, tower: str) -> dict[str, Any]:
        """The activations of the `image` or `text` tower.

        Raises:
            CaptureError: The capture is still open, or the tower ran twice or not at all inside it.
        """
        taken: dict[str, Any] = getattr(self, tower)
        if not taken or any(value is None for value in taken.values()):
            raise CaptureError(
                f"the {tower} tower did not run inside capture(), or the capture is still open. "
                f"Run the model's own forward on {tower}s inside `with harmo.capture() as captured:` "
                "and use `captured` after the block. A model that was compiled before harmonize() runs "
                "without its taps: harmonize first, or call torch.compiler.reset()."
            )
        if tower in self.repeated:
            raise CaptureError(
                f"the {tower} tower ran more than once inside one capture(): expected one pass. "
                "Open one capture for each forward."
            )
        return taken
