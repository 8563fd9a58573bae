"""Everything that installs the operator: the chart, kustomize, and what watches it."""
