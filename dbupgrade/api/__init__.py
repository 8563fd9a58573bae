"""The contract with users: resource models, conditions, names and the CRD. Pure data, no I/O."""
