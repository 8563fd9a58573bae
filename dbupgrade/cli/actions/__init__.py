"""What the commands do. Loaded when a command runs, since the client of the API server takes its time."""
