"""Why a program could not be started, as runc says it: before the container exists, or as the only line of its log."""

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod import engines, starts
from dbupgrade.pod.report import Report

RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to "
    "start container process: "
)
ARCHITECTURE = "it is built for another architecture than that of the node (exec format error)"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (f'{RUNC}exec: "/y": permission denied', "/y cannot be started: the user of the pod may not execute it (permission denied)"),
        (
            f'{RUNC}exec: "migrate": executable file not found in $PATH',
            "migrate cannot be started: the image does not contain it in its PATH",
        ),
        (
            f'{RUNC}exec: "/x": stat /x: no such file or directory',
            "/x cannot be started: the image does not contain it, or not its interpreter",
        ),
        (f'{RUNC}exec: "/x": exec format error', f"/x cannot be started: {ARCHITECTURE}"),
    ],
)  # fmt: skip
def test_each_answer_of_the_runtime_has_words(said: str, words: str) -> None:
    assert starts.words(said) == f"the program {words}"


def test_what_is_something_else_is_not_told() -> None:
    assert starts.words("error mounting /var/lib/kubelet: not found") is None
    assert starts.words("") is None


def test_a_command_of_another_architecture_is_told_by_its_only_line() -> None:
    command = engines.named("Command")
    report = command.parse("exec /x: exec format error\n", exit_code=255)
    assert report == Report(
        failure=Failure.COMMAND, error=f"the program /x cannot be started: {ARCHITECTURE}"
    )
    own = command.parse("begin\nexec /x: exec format error\n", exit_code=255)
    assert own.error == "exit code 255"
