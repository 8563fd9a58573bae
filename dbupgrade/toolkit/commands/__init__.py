"""The commands of `dbupgrade migrate`, a module each with `run(call)`, which returns the exit code."""
