"""Whether two Jobs run the same: one that is there, and ours as the API server would store it."""

from dbupgrade.objects import Object

# What the API server generates for each Job.
_GENERATED_LABELS = {
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
}
_GENERATED = {"selector", "ttlSecondsAfterFinished"}


def runs_the_same(one: Object, other: Object) -> bool:
    """Whether both Jobs have the same spec and template, whoever created them; names and statuses do not count."""
    return _what_runs(one) == _what_runs(other)


def _what_runs(job: Object) -> Object:
    spec = {name: value for name, value in job["spec"].items() if name not in _GENERATED}
    template = spec["template"]
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    kept = {name: value for name, value in labels.items() if name not in _GENERATED_LABELS}
    annotations = metadata.get("annotations") or {}
    return {**spec, "template": {"labels": kept, "annotations": annotations, "spec": template["spec"]}}
