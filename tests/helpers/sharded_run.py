"""A run under FSDP2 on CPUs: `torchrun --nproc_per_node 2 sharded_run.py KEY=VALUE...`.

Accelerate heeds FSDP's configuration on accelerators only. Here its state is told by hand that it shards; the
configuration is what `accelerate launch --use_fsdp --fsdp_version 2 --fsdp_auto_wrap_policy
TRANSFORMER_BASED_WRAP` hands on, and everything after that is Accelerate's own path.
"""

import os
import sys
from typing import Any

from accelerate import Accelerator, DistributedType, FullyShardedDataParallelPlugin, PartialState

from harmoclip.cli.progress import Progress
from harmoclip.cli.train import TrainingProgress
from harmoclip.train import load_config, loop

os.environ |= {
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_SYNC_MODULE_STATES": "true",
    "FSDP_USE_ORIG_PARAMS": "true",
}


class Sharded(Accelerator):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        PartialState._shared_state["distributed_type"] = self.state.distributed_type = DistributedType.FSDP
        self.state.fsdp_plugin = FullyShardedDataParallelPlugin()


loop.Accelerator = Sharded
with Progress() as progress:
    loop.train(load_config(None, sys.argv[1:]), TrainingProgress(progress))
