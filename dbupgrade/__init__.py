"""DBUpgrade: a Kubernetes operator that runs database schema migrations for applications."""

__version__ = "0.1.0"
