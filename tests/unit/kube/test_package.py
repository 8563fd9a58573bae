"""The client package is loaded without its models."""

import json
import subprocess
import sys

PROGRAM = """
import json, sys
import dbupgrade.app.operator
print(json.dumps([name for name in sys.modules if name.startswith("kubernetes_asyncio.")]))
"""


def test_the_operator_loads_none_of_the_generated_models() -> None:
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    ).stdout
    loaded = json.loads(output)
    generated = [name for name in loaded if ".models." in name or ".client.api." in name]
    assert generated == []
    assert "kubernetes_asyncio.client.api_client" in loaded
