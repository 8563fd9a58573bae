"""DBUpgrade: a Kubernetes operator that runs database schema migrations for applications."""
