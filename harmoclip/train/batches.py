"""The batches of a run: without end, and in its checkpoints the place of every rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from harmoclip.data import Batch, Collator, Loader
from harmoclip.errors import InputError
from harmoclip.train.config import Config
from harmoclip.train.sources import training_data


class Batches:
    """This rank's endless batches of a configuration's data.

    Register it for checkpointing: its state holds where each rank is.

    Args:
        config: What to read, and how.
        loaded: The model with its tokenizer and preprocessing.
        accelerator: Says which rank this is.
    """

    def __init__(self, config: Config, loaded: Any, accelerator: Accelerator) -> None:
        dataset, transform = training_data(config, loaded)
        self.loader: Loader[Batch] = Loader(
            dataset,
            Collator(loaded.tokenizer),
            transform=transform,
            batch_size=config.data.batch_size,
            workers=config.data.workers,
            seed=config.seed,
            rank=accelerator.process_index,
            ranks=accelerator.num_processes,
            pin_memory=accelerator.device.type == "cuda",
        )

    def __iter__(self) -> Iterator[Batch]:
        return self.loader.endless()

    def state_dict(self) -> dict[str, Any]:
        """Where every rank is; all ranks have to ask."""
        return {"ranks": gather_object([self.loader.state_dict()])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there.

        Raises:
            InputError: The state is of another number of ranks, batch size or seed.
        """
        places, ranks = state["ranks"], self.loader.ranks
        if len(places) != ranks:
            raise InputError(
                f"the checkpoint is of {len(places)} processes, this run has {ranks}: expected the same "
                "number, or the order of the data would be another. Give another `out` to begin anew."
            )
        self.loader.load_state_dict(places[self.loader.rank])

    def about(self) -> str:
        """How much data there is."""
        dataset = self.loader.dataset
        return f"{len(dataset)} samples" if hasattr(dataset, "__len__") else f"{len(dataset.urls)} shards"
