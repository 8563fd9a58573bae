"""A real one-node Kubernetes cluster with PostgreSQL and an image registry, without Docker."""
