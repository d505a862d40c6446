"""The training command, on Accelerate: configuration, loop, checkpoints."""
