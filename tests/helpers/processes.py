"""Processes that end: nothing that they started outlives a time limit."""

import subprocess

import psutil


def kill_tree(process):
    """SIGKILL to a process and to everything that it started."""
    parent = psutil.Process(process.pid)
    for running in [parent, *parent.children(recursive=True)]:
        running.kill()


def communicate(process, timeout):
    """What a process wrote to its end, or until it was killed for its time; whether it came to its end."""
    try:
        return *process.communicate(timeout=timeout), True
    except subprocess.TimeoutExpired:
        kill_tree(process)
        return *process.communicate(), False
