"""The only importer of kubernetes_asyncio: client, typed errors, events, leader election."""
