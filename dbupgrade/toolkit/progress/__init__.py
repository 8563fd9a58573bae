"""What a run is doing: told by the engine's events, and by the server of what the session waits for."""
