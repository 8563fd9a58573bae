"""The composition root: what every controller shares, and the wiring of each controller."""
