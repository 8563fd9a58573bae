"""The plan of a run: what it would do to the database, made without changing anything."""
