"""Pages a second while 3,000 slow connections are open, beside the same site alone in the same run, and memory.

By turns, so that the machine's noise is in both; it is printed too: how far two turns of the same differ. Memory is
what the site's processes hold, shared pages by share, before and after. Needs wrk. VIEWS and TIPS set how many.
"""

import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.faults import deployment, until, up
from tests.support.figures import spread
from tests.support.load import slow, view
from tests.support.ports import free_port
from tests.support.senders import send_all, words

TURNS, SECONDS = 5, 4
VIEWS, TIPS = int(os.environ.get("VIEWS", "100000")), int(os.environ.get("TIPS", "500"))
MIB = 1024 * 1024


def rate(port: int) -> float:
    command = ["wrk", "-t1", "-c16", f"-d{SECONDS}s", "-H", "Accept-Encoding: br", f"http://127.0.0.1:{port}/en/help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    return float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])


def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder, deployment(Path(folder)) as here:
        port = free_port()
        site = here.site(port)
        up(port, site)
        rate(port)
        alone, beside = [], []
        for _ in range(TURNS):
            alone.append(rate(port))
            with ExitStack() as stack:
                slow(stack, port, f"127.0.0.1:{port}")
                beside.append(rate(port))
        ratio = statistics.median(two / one for one, two in zip(alone, beside, strict=True))
        print(f"pages alone {spread(alone)}, beside 3,000 slow connections {spread(beside)}: ratio {ratio:.2f}")
        before = site.memory()
        view(port, VIEWS)
        print(f"memory: {before / MIB:.0f} MiB, after {VIEWS} views {site.memory() / MIB:.0f} MiB")
        forwarder = here.forwarder()
        _, done = send_all([port], words(TIPS))
        until(done, "the last tip", seconds=3600)
        print(f"after {TIPS} tips {site.memory() / MIB:.0f} MiB, and the forwarder {forwarder.memory() / MIB:.0f} MiB")


if __name__ == "__main__":
    main()
