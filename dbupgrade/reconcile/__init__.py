"""Observe, decide, act: what a worker does with one DBUpgrade."""
