"""The commands for people: `kubectl dbupgrade status`, or `dbupgrade status`.

`commands` declares them and is light, so that help and completion are quick; what they do is in `actions`, which loads the
client of the API server.
"""
