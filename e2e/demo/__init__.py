"""The demo: the shop of `examples/shop` is migrated twice on the local cluster, in front of your eyes, and then examined."""
