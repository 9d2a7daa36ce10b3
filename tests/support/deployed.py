"""The configuration of a real agency, for the tests that start what deploy/ describes."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.paths import BIN
from tests.support.ports import free_port
from tests.support.proxies import NAME, ONION


def configuration(folder: Path, **limits: str) -> tuple[Path, int]:
    """A real agency's configuration in a folder of its own, and the port that the site will have."""
    port, identity = free_port(), folder / "identity.txt"
    made = subprocess.run(
        [BIN / "haumaru-desk", "keygen", "-o", identity, "--no-passphrase"], capture_output=True, text=True, check=True
    )
    (folder / "inbox").mkdir()
    memory = Path(os.environ["XDG_RUNTIME_DIR"]) / f"haumaru-{port}"
    rates = "\n".join(f'{name} = "{value}"' for name, value in limits.items())
    path = folder / "haumaru.toml"
    path.write_text(f"""
[site]
operator = "A test of the whole"
contact_email = "team@haumaru.test"
base_url = "https://{NAME}"
onion = "{ONION}"
[server]
bind = "127.0.0.1:{port}"
workers = 1
proxies = 1
secret_file = "secret"
[report]
agencies = ["intake"]
min_fill = "0s"
[[agency]]
id = "intake"
name = "The agency of the test"
recipients = ["{made.stdout.strip()}"]
expires = {(datetime.now(UTC) + timedelta(days=300)).date()}
deliver = "drop:inbox"
[outbox]
url = "sqlite:///outbox.db"
[memory]
folder = "{memory}"
[limits]
{rates}
[forward]
window = "2s"
""")
    return path, port
