"""The Nu HTML checker of the W3C, run over pages."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.paths import ROOT

VNU = ROOT / "tests/tools/node_modules/vnu-jar/build/dist/vnu.jar"


def nu_errors(pages: Mapping[str, bytes], folder: Path) -> list[str]:
    """Return every error that the checker finds in the HTML and CSS of pages, each once with the page's name."""
    for name, html in pages.items():
        (folder / f"{name.strip('/').replace('/', '-')}.html").write_bytes(html)
    command = ["java", "-Xss8m", "-jar", str(VNU), "--format", "json", "--skip-non-html", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    messages = json.loads(done.stderr)["messages"]
    return sorted({f"{Path(one['url']).name}: {one['message']}" for one in messages if one["type"] == "error"})
