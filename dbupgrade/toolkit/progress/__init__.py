"""What a run is doing, from the engine's events, and what its session waits for, from the server."""
