"""`python -m harmoclip`, for launchers: `accelerate launch -m harmoclip`, `torchrun -m harmoclip`."""

from harmoclip.cli import main

main()
