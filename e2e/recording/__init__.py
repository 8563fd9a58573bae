"""The picture of a terminal at the top of the README: real commands on the local cluster, as an animated SVG."""
