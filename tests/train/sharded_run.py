"""A run under FSDP2 on CPUs: `torchrun --nproc_per_node 2 sharded_run.py KEY=VALUE...`.

Accelerate heeds FSDP's configuration on accelerators only. Here its state is told what `accelerate launch
--use_fsdp --fsdp_version 2` tells it there; everything after that is Accelerate's own path.
"""

import sys
from typing import Any

from accelerate import Accelerator, DistributedType, FullyShardedDataParallelPlugin, PartialState

from harmoclip.train import loop
from harmoclip.train.config import load_config


class Sharded(Accelerator):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        PartialState._shared_state["distributed_type"] = self.state.distributed_type = DistributedType.FSDP
        self.state.fsdp_plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2, auto_wrap_policy="transformer_based_wrap", state_dict_type="SHARDED_STATE_DICT"
        )


loop.Accelerator = Sharded
loop.train(load_config(None, sys.argv[1:]))
