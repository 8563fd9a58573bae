"""What a pod does before it migrates: one module a container."""
