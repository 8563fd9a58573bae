"""`apply`: a manifest, and the wait for what comes of it."""

from pathlib import Path

from dbupgrade.api import lock, names
from dbupgrade.cli import manifest, session
from dbupgrade.cli.actions.waiting import PASSING, Wait
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.options import Target
from dbupgrade.cli.session import DBUPGRADES, Session
from dbupgrade.cli.view import Seen
from dbupgrade.kube.errors import Forbidden, Invalid, NotFound
from dbupgrade.objects import Object

_APPLY_PATCH = "application/apply-patch+yaml"
_FIELD_MANAGER = "dbupgrade-apply"


def apply(target: Target, file: Path, timeout: float) -> None:
    """Apply the file, then wait for Ready at the generation that came of it, or a later one of the same image."""
    wanted = manifest.read(file, target.namespace)
    name, namespace = wanted["metadata"]["name"], wanted["metadata"].get("namespace", target.namespace)
    about = Target(namespace, target.context, target.kubeconfig, name=name)

    async def work(on: Session) -> None:
        wanted["metadata"]["namespace"] = on.namespace
        # Whoever applies it again wants a failure to be retried; after a success this has no effect.
        annotations = wanted["metadata"].setdefault("annotations", {})
        annotations[names.ANNOTATION_RETRY] = session.now().isoformat(timespec="milliseconds")
        waiting = Wait(on, timeout)
        applied = Seen.of(await _applied(on, wanted, waiting))
        waiting.say("Applied", f"{applied.namespace}/{applied.name} at generation {applied.generation}")

        def concerns(seen: Seen) -> bool:
            if (seen.uid, seen.image) != (applied.uid, applied.image):
                raise CommandError(
                    f"the resource was replaced in the meantime; its image is now {seen.image}"
                )
            return seen.looked_at and seen.generation >= applied.generation

        await waiting.until_ready(concerns)

    session.run(about, work)


async def _applied(on: Session, wanted: Object, waiting: Wait) -> Object:
    """The object as stored. While a run locks its spec, or the API server has no answer, it is applied again."""
    query = {"fieldManager": _FIELD_MANAGER, "force": "true"}
    path = DBUPGRADES.item(on.namespace, on.name)
    while True:
        try:
            stored: Object = await on.client.request(
                "PATCH", path, query=query, body=wanted, content_type=_APPLY_PATCH
            )
        except NotFound:
            raise session.unknown_kind() from None
        except (Invalid, Forbidden) as error:
            if not lock.is_locked(error.causes):
                raise
            waiting.say(
                "Waiting", "an earlier migration is in progress; the spec is locked until it has finished"
            )
        except PASSING as error:
            waiting.say("Waiting", str(error))
        else:
            return stored
        await waiting.pause()
