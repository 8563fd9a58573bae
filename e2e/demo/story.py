"""The demo from its beginning to its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from e2e.demo import examine, say
from e2e.demo.release import FIRST, SECOND
from e2e.demo.shop import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.demo.database import Database
    from e2e.demo.findings import Finding
    from e2e.demo.follow import Follower
    from e2e.demo.kubectl import Json
    from e2e.demo.release import Release
    from e2e.demo.shop import Shop

RUN_FIELDS = (
    "jobName",
    "image",
    "digest",
    "fromVersion",
    "toVersion",
    "appliedCount",
    "startedAt",
    "finishedAt",
    "result",
)


@dataclass
class Story:
    """The shop from nothing to its second release."""

    cluster: Cluster
    atlas: Path
    shop: Shop
    database: Database
    follower: Follower
    images: list[str] = field(default_factory=list)

    async def tell(self) -> bool:
        """Tell all of it; say whether everything is as it should be."""
        say.headline("An empty shop")
        say.text(f"Removing what an earlier demo left (namespace and database {NAME}) ...")
        await self.shop.recreate_namespace()
        url = self.database.url(await self.database.recreate())
        say.text(f"Namespace {NAME} and database {NAME} are new and empty.")

        image = await self._push(FIRST)
        say.text(
            "Applying examples/shop/dbupgrade.yaml: a Secret with the database URL, a DBUpgrade with the image."
        )
        resource = await self.follower.follow(lambda: self.shop.create(image, url))
        await self._show(resource)

        image = await self._push(SECOND)
        say.text(
            "Changing spec.migrations.image of the DBUpgrade, as a new version of the application would."
        )
        resource = await self.follower.follow(lambda: self.shop.change_image(image))
        await self._show(resource, since=FIRST.last)

        return self._judge(await self._examine(resource))

    async def _push(self, release: Release) -> str:
        say.headline(f"Release {release.tag}")
        layer = await asyncio.to_thread(release.layer, self.atlas)
        image = await asyncio.to_thread(self.cluster.push_image, f"{NAME}:{release.tag}", layers=layer)
        self.images.append(image)
        say.text(f"Pushed {image}, which carries {len(release.files)} migrations in /migrations.")
        return image

    async def _show(self, resource: Json, since: str = "") -> None:
        """Print what the operator reports of the run, and what there is in the database, newer than `since`."""
        run = resource["status"].get("run") or {}
        say.headline("status.run: what the operator reports")
        say.table(("field", "value"), [(name, run[name]) for name in RUN_FIELDS if run.get(name)])
        say.headline(f"Tables and views of the database {NAME}")
        say.table(("name", "kind", "rows"), await self.database.tables())
        revisions = await self.database.revisions()
        say.headline("atlas_schema_revisions: the history that Atlas keeps in the database")
        if since:
            print(f"  ... {sum(row.version <= since for row in revisions)} files up to {since}, as before")
        titles = ("version", "description", "applied", "total", "executed_at (UTC)")
        say.table(titles, [row for row in revisions if row.version > since])

    async def _examine(self, resource: Json) -> list[Finding]:
        async with self.database.connect() as connection:
            contents = await examine.contents(connection)
        # The resource is ready when its container has ended; the Job says so a second or two later.
        await self.shop.kubectl.run("wait", "jobs", "--all", "--for=condition=Complete", "--timeout=60s")
        return [
            *examine.report(resource, (FIRST, SECOND), self.images),
            *examine.jobs(resource, await self.shop.kubectl.list("jobs")),
            *examine.revisions(await self.database.revisions(), SECOND),
            *contents,
        ]

    def _judge(self, findings: list[Finding]) -> bool:
        say.headline("Is it true? What was examined")
        say.findings(findings)
        different = [finding for finding in findings if not finding.holds]
        if different:
            say.headline(f"{len(different)} of {len(findings)} things are not as they should be")
            say.findings(different)
        else:
            print(f"\nAll {len(findings)} are as they should be.")
        return not different


def farewell(state: Path) -> None:
    """How to look around, and how to stop."""
    say.headline("The cluster stays up. Look around:")
    secret = f"kubectl -n {NAME} get secret shop-database -o jsonpath='{{.data.url}}' | base64 -d"
    for command, what in (
        (f". {state}/env", "sets PATH and KUBECONFIG for this shell"),
        (f"kubectl -n {NAME} get dbupgrade,job,pod", "the resource and its runs"),
        (f"kubectl -n {NAME} get dbupgrade {NAME} -o yaml", "conditions, last run, history"),
        (f"kubectl -n {NAME} get events", "what the operator told"),
        (f'psql "$({secret})"', "the database, as its owner"),
        ("make demo", "all of it again, from the beginning"),
        ("make down", "stop the cluster"),
    ):
        print(f"  {command}\n      {what}")
