"""The commands for people: `kubectl dbupgrade status`, or `dbupgrade status`.

This module is light: the operator's own command line shows these names without loading what is behind them.
"""

COMMANDS = {
    "status": "what a resource does: checks, run, pods; without a name, all of the namespace",
    "history": "the last runs of a resource",
    "logs": "what the pod of the last run printed",
    "wait": "wait until a resource is ready, and show its progress",
    "apply": "apply a DBUpgrade from a file, and wait until it is ready",
    "retry": "run a failed migration again",
    "suspend": "start nothing new; a run that is on goes on",
    "resume": "take a suspension back",
    "explain": "why a resource does not start, and what to do",
}
