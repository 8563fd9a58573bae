"""Leader election over a Lease (coordination.k8s.io/v1): at most one replica leads.

A replica that does not lead judges the leader's lease by its own monotonic clock: as long as the record keeps changing, it is
alive; clocks of other machines are not trusted. The leader renews every `retry` seconds. When it has not succeeded for
`renew_deadline` seconds, for whatever reason, it stops its work, before others may take over after `duration` seconds.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from dbupgrade.clock import SystemClock
from dbupgrade.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from dbupgrade.kube.resources import LEASES, ResourceClient
from dbupgrade.kube.timestamps import rfc3339_micro
from dbupgrade.telemetry.metrics import LEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from dbupgrade.clock import Clock
    from dbupgrade.kube.client import Client

RELEASE_SECONDS = 3.0

_log = structlog.get_logger(__name__)


class LeadershipLost(Exception):  # noqa: N818 - an outcome of run, expected and handled
    """Another replica may lead now; this process has to end its work."""


@dataclass(frozen=True)
class Timing:
    """Seconds; `duration` > `renew_deadline` > 2 * `retry`. The difference of the first two is for the work to stop."""

    duration: int = 15
    renew_deadline: float = 10.0
    retry: float = 2.0

    @property
    def attempt(self) -> float:
        """How long one try may take: two fit before the deadline."""
        return self.renew_deadline / 2

    @property
    def grace(self) -> float:
        """How long the work may take to stop after the lease is lost."""
        return self.duration - self.renew_deadline


@dataclass(frozen=True)
class LeaseName:
    """The Lease, and who competes for it; `identity` must be unique to the process."""

    namespace: str
    name: str
    identity: str


class LeaderElector:
    """Competes for one lease, once."""

    def __init__(
        self, client: Client, lease: LeaseName, timing: Timing | None = None, clock: Clock | None = None
    ) -> None:
        self._leases = ResourceClient(client, LEASES)
        self._lease = lease
        self._timing = timing or Timing()
        self._clock = clock or SystemClock()
        self._log = _log.bind(lease=lease.name, identity=lease.identity)
        self._seen_version = ""
        """The resourceVersion of the lease when it was last read, and since when (monotonic) it is that."""
        self._seen_at = 0.0
        self._written: dict[str, Any] | None = None
        """The lease as this replica last wrote it; None when it has to be read before the next write."""
        self._renewed_at = 0.0
        """When (monotonic) the last successful write was sent, not when it was answered."""
        self._may_hold = False
        """Whether this replica may be the holder; true as soon as a write is sent, whose answer may get lost."""

    async def run(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the lease, run `lead` while it is held, release it when `lead` has ended.

        Raises LeadershipLost when the lease could not be kept; `lead` was cancelled then and had `Timing.grace` seconds to
        end. When `run` is cancelled, `lead` is cancelled and awaited while renewing goes on, then the lease is released.
        """
        gauge = LEADER.labels(name=self._lease.name)
        gauge.set(0)
        try:
            await self._acquire()
            self._log.info("leading")
            gauge.set(1)
            await self._lead(lead)
        finally:
            gauge.set(0)
            await self._release()

    async def _acquire(self) -> None:
        while not await self._attempt():
            # Up to half of `retry`, at random: a released lease is taken well within it, and not by all at the same moment.
            await self._clock.sleep(self._timing.retry * random.uniform(0.3, 0.5))  # noqa: S311 - not cryptography

    async def _lead(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        work = asyncio.create_task(lead(), name="leader-work")
        hold = asyncio.create_task(self._hold(), name="leader-hold")
        try:
            try:
                await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await self._stop(work, hold)
            if hold.done():
                raise LeadershipLost(
                    "the lease was not renewed in time or is another's"
                ) from hold.exception()
            work.result()
        finally:
            hold.cancel()
            # An error of work that failed while it was being stopped is not left unread.
            ended = [hold, work] if work.done() else [hold]
            await asyncio.gather(*ended, return_exceptions=True)

    async def _stop(self, work: asyncio.Task[None], hold: asyncio.Task[None]) -> None:
        """Cancel the work and wait for its end; without the lease only as long as nobody else can have it."""
        work.cancel()
        try:
            await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
            if hold.done():
                self._log.error("lease_lost")
                await self._first(work, seconds=self._timing.grace)
        finally:
            if hold.done() or not work.done():
                self._may_hold = False  # releasing is for a holder whose work has ended
            if not work.done():
                self._log.error("former_leader_still_works")

    async def _hold(self) -> None:
        """Renew the lease; returns when it is lost. Does not rely on any call to the API server coming back."""
        renewing = asyncio.create_task(self._renew(), name="leader-renew")
        try:
            while (left := self._renewed_at + self._timing.renew_deadline - self._clock.monotonic()) > 0:
                await self._first(renewing, seconds=left)
                if renewing.done():
                    return renewing.result()
        finally:
            renewing.cancel()

    async def _renew(self) -> None:
        """Renew every now and then; returns when somebody else is seen to hold the lease."""
        held: bool | None = True
        while held is not False:
            await self._clock.sleep(self._timing.retry)
            held = await self._attempt()

    async def _attempt(self) -> bool | None:
        """Try once to take or to renew the lease: True if it is ours, False if another's, None if that is unknown."""
        sent_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._timing.attempt):
                held = await self._take_or_renew()
        except (Conflict, AlreadyExists):
            return None  # another replica was faster, or our own last write arrived without its answer
        except (KubeError, TimeoutError) as error:
            self._log.warning("lease_not_renewed", error=str(error) or "no answer in time")
            return None
        if held:
            self._renewed_at = sent_at
        return held

    async def _take_or_renew(self) -> bool:
        lease, self._written = self._written, None
        if lease is None:
            try:
                lease = await self._leases.get(self._lease.namespace, self._lease.name)
            except NotFound:
                self._may_hold = True
                self._written = await self._leases.create(self._lease.namespace, self._new_lease())
                return True
            if not self._is_free(lease):
                self._may_hold = False
                return False
        self._may_hold = True
        self._written = await self._replace(lease, self._claim(lease["spec"]))
        return True

    def _is_free(self, lease: dict[str, Any]) -> bool:
        """Tell whether the lease is ours, given back, or unchanged for longer than its holder promised to renew it."""
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, self._clock.monotonic()
        spec = lease["spec"]
        if (spec.get("holderIdentity") or "") in {"", self._lease.identity}:
            return True
        duration = spec.get("leaseDurationSeconds") or self._timing.duration
        return self._clock.monotonic() >= self._seen_at + float(duration)

    def _new_lease(self) -> dict[str, Any]:
        metadata = {"namespace": self._lease.namespace, "name": self._lease.name}
        spec = self._claim({}) | {"leaseTransitions": 0}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def _claim(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return the Lease's spec with this replica as the holder from now on."""
        now = rfc3339_micro(self._clock.now())
        claim = {
            **spec,
            "holderIdentity": self._lease.identity,
            "leaseDurationSeconds": self._timing.duration,
            "renewTime": now,
        }
        if spec.get("holderIdentity") != self._lease.identity:
            claim |= {"acquireTime": now, "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1}
        return claim

    async def _replace(self, lease: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        return await self._leases.replace(self._lease.namespace, self._lease.name, {**lease, "spec": spec})

    async def _release(self) -> None:
        """Give the lease back, so that another replica need not wait for it to run out."""
        if not self._may_hold:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._give_back()
        except (KubeError, TimeoutError) as error:
            self._log.warning("lease_not_released", error=str(error) or "no answer in time")

    async def _give_back(self) -> None:
        # Read first: a renewal that was interrupted may have arrived or not.
        lease = await self._leases.get(self._lease.namespace, self._lease.name)
        if lease["spec"].get("holderIdentity") != self._lease.identity:
            return
        now = rfc3339_micro(self._clock.now())
        released = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        await self._replace(lease, {**lease["spec"], **released})
        self._log.info("lease_released")

    async def _first(self, task: asyncio.Task[None], *, seconds: float) -> None:
        """Wait until `task` has ended, at most for `seconds`."""
        timer = asyncio.create_task(self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
