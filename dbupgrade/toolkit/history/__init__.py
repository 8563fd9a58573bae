"""The database and its history: connections, Atlas, and the folder compared with what was applied."""
