"""What a call prints holds no secret, in whatever form."""

import io
import json
from typing import Any

import pytest

from dbupgrade.toolkit.output import Format, Output

SECRETS = ["hunter2", 'p"ss', "back\\slash", "pässword", "日本語", "tab\there"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", [Format.TEXT, Format.JSON])
def test_no_event_holds_a_secret_however_json_spells_it(form: Format, secret: str) -> None:
    output = Output(form, (secret,), io.StringIO())
    values: dict[str, Any] = {
        "error": f"a {secret}",
        "files": [secret],
        "found": [{"what": f"{secret}!"}],
        "n": 1,
    }
    output.event("failed", f"cannot log in with {secret}", level="error", **values)
    printed = output.stream.getvalue()  # type: ignore[attr-defined]
    for spelling in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        assert spelling not in printed
    assert "cannot log in with ***" in printed
