"""Train on several processes: `torchrun --nproc_per_node 2 examples/torchrun_two_processes.py`.

Every process sees its own images; regions, phrases and images of all of them contrast with each other, and
the losses and gradients are those of one process with the whole batch.
"""

import open_clip
import torch
import torch.distributed as dist
import typer
from torch.nn.parallel import DistributedDataParallel

import harmoclip
from harmoclip.data import Collator, transform_for
from harmoclip.data.scenes import Scenes


def main(name: str = "ViT-B-32", pretrained: str | None = None, steps: int = 5, batch_size: int = 8) -> None:
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", rank) if torch.cuda.is_available() else torch.device("cpu")
    torch.manual_seed(0)
    model = open_clip.create_model(name, pretrained=pretrained, device=device)
    transform = transform_for(model)
    tokenizer = open_clip.get_tokenizer(name)
    collate = Collator(tokenizer)
    scenes = Scenes("train", steps * batch_size * ranks)

    harmo = DistributedDataParallel(harmoclip.harmonize(model, tokenizer=tokenizer))
    optimizer = torch.optim.AdamW(harmo.parameters(), lr=1e-4)
    for step in range(steps):
        mine = [scenes[(step * ranks + rank) * batch_size + i] for i in range(batch_size)]
        batch = collate([transform(s) for s in mine])
        losses = harmo(*(part.to(device) for part in batch))
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        if rank == 0:
            print(f"step {step + 1:3d} on {ranks} processes  loss {losses['loss'].item():.3f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    typer.run(main)
