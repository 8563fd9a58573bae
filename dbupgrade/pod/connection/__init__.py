"""Where the database is, and how the containers of a pod get to it."""

DEFAULT_PORT = 5432
