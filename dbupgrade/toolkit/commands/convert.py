"""`convert`: put each CONCURRENTLY statement alone into a file without a transaction."""

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.toolkit import folder, selection
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history import changes
from dbupgrade.toolkit.sql import concurrently


def run(call: Call) -> int:
    """Write the parts, and atlas.sum. Raises ConversionRefusedError."""
    call.only_postgresql()
    call.prepare()
    call.atlas.validate_offline(call.folder)
    files = [concurrently.File(*file) for file in folder.read(call.folder)]
    chosen = selection.chosen(call, [file.name for file in files]).names
    changed = concurrently.convert(files, chosen, plain=call.given.plain)
    for name, parts in changed.items():
        folder.write(call.folder, parts)
        names = [part.name for part in parts]
        call.output.event(
            "converted", f"{name} was converted into {', '.join(names)}", file=name, parts=names
        )
    if changed:
        folder.write_sums(call.folder, changes.sums(folder.contents(call.folder)[0].files))
    call.output.event("finished", f"{len(changed)} of {len(chosen)} files changed", changed=len(changed))
    return ExitCode.OK
