"""Decisions as pure, synchronous functions: no I/O, and the time is an argument."""
