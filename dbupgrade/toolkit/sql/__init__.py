"""PostgreSQL's SQL as its own parser reads it. Importing it takes time and memory: do so only where it is needed."""
