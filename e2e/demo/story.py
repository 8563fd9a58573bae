"""The demo from its beginning to its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from e2e.demo import examine, say
from e2e.demo.follow import follow
from e2e.demo.release import FIRST, SECOND
from e2e.demo.shop import MANIFEST, NAME

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.demo.database import Database
    from e2e.demo.findings import Finding
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
    images: list[str] = field(default_factory=list)

    async def tell(self) -> bool:
        """All of it; whether everything is as it should be."""
        say.headline("An empty shop")
        await self._prepare()
        password = await self.database.recreate()
        say.text(f"Namespace {NAME} and database {self.database.name} are new and empty.")

        await self._push(FIRST)
        url = self.database.url(password)
        say.text(
            f"Applying {MANIFEST.name} (examples/shop): Secret with the database URL, DBUpgrade with the image."
        )
        resource = await follow(self.shop.kubectl, NAME, lambda: self.shop.create(self.images[-1], url))
        await self._show(resource)

        await self._push(SECOND)
        say.text(
            "Changing spec.migrations.image of the DBUpgrade, as a new version of the application would."
        )
        resource = await follow(self.shop.kubectl, NAME, lambda: self.shop.change_image(self.images[-1]))
        await self._show(resource)

        return self._judge(await self._examine(resource))

    async def _prepare(self) -> None:
        say.text(f"Removing what an earlier demo left (namespace and database {NAME}) ...")
        await self.shop.recreate_namespace()

    async def _push(self, release: Release) -> None:
        say.headline(f"Release {release.tag}")
        layer = await asyncio.to_thread(release.layer, self.atlas)
        image = await asyncio.to_thread(self.cluster.push_image, f"{NAME}:{release.tag}", layers=layer)
        self.images.append(image)
        say.text(f"Pushed {image}, which carries {len(release.files)} migrations in /migrations.")

    async def _show(self, resource: Json) -> None:
        run = resource["status"].get("run") or {}
        say.headline("status.run: what the operator reports")
        say.table(("field", "value"), [(name, run[name]) for name in RUN_FIELDS if run.get(name) is not None])
        say.headline(f"Tables and views of the database {self.database.name}")
        say.table(("name", "kind", "rows"), await self.database.tables())
        say.headline("atlas_schema_revisions: the history that Atlas keeps in the database")
        say.table(
            ("version", "description", "applied", "total", "executed_at (UTC)"),
            await self.database.revisions(),
        )

    async def _examine(self, resource: Json) -> list[Finding]:
        async with self.database.connect() as connection:
            contents = await examine.contents(connection)
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
