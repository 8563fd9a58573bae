"""AWS: the only importer of aioboto3; imported only when AWS authentication is enabled."""
