"""The tables of docs/metrics.md, made from the metrics that the operator registers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client.metrics import MetricWrapperBase

from dbupgrade.telemetry import metrics
from dbupgrade.telemetry.resources import RESOURCES
from deploy.marked import with_part

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
BEGIN = "<!-- metrics: generated from dbupgrade/telemetry by `make manifests` -->\n"
END = "<!-- end of metrics -->\n"


def files() -> Iterator[tuple[Path, str]]:
    """The page with the table as it has to be."""
    yield PAGE, with_part(PAGE, BEGIN, END, table())


def table() -> str:
    """A row for each metric, those about single resources first."""
    rows = [
        f"| `{family.name}{'_total' if family.type == 'counter' else ''}` | {family.type} | {_labels(labels)} | {family.documentation} |\n"
        for family, labels in _families()
    ]
    return "".join(["| metric | type | labels | |\n", "|---|---|---|---|\n", *rows])


def _families() -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Every metric with its labels, which prometheus_client keeps to itself."""
    for family in RESOURCES.describe():
        yield family, family._labelnames  # noqa: SLF001
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            yield next(iter(metric.describe())), metric._labelnames  # noqa: SLF001


def _labels(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
