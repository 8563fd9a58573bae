"""The admission webhook's transport (aiohttp); it serves from the issue 'The lock' on."""
