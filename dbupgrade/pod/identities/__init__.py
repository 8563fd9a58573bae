"""Logging in to a database with a cloud's identity instead of a password: one module a cloud."""
