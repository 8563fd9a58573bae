"""Where the database is, and how what runs in a pod is led there."""
