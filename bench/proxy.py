"""A page through the shipped proxy beside the same HAProxy's best for the same bytes, by turns (needs wrk).

The best is one line, `http-request return` of the page's file from memory, with the same TLS and no other rule. Beside
the rate stands what each request costs the proxy's processes: on a busy machine the reader is slower than both.
"""

import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.site import demo
from tests.support.figures import spread
from tests.support.ports import free_port, wait_for_port
from tests.support.proxies import haproxy

PATH, FILE = "/en/help", "en/help.html.br"
CONNECTIONS = 16
TURNS, SECONDS = int(os.environ.get("TURNS", "5")), int(os.environ.get("SECONDS", "4"))
TICK = os.sysconf("SC_CLK_TCK")
BEST = """\
global
    maxconn 1000
    nbthread 2
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    tune.ssl.cachesize 0
defaults
    mode http
    timeout client 15s
    timeout server 15s
    timeout connect 5s
frontend best
    bind 127.0.0.1:{port} ssl crt {folder}/fullchain.pem alpn h2,http/1.1
    http-request return status 200 content-type "text/html; charset=utf-8" file {file} {headers}
"""


def answer_headers(port: int, host: str) -> dict[str, str]:
    """Ask the shipped proxy once, with curl, for the headers that the best must send too."""
    command = ["curl", "-sk", "--http1.1", "-D", "-", "-o", "/dev/null", "-H", f"Host: {host}"]
    command += ["-H", "Accept-Encoding: br", f"https://127.0.0.1:{port}{PATH}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert " 200 " in told.splitlines()[0], told
    pairs = (line.split(": ", 1) for line in told.splitlines()[1:] if ": " in line)
    return {name.lower(): value for name, value in pairs if name.lower() not in ("content-type", "content-length")}


def processor_seconds(pids: list[int]) -> float:
    """The processor time of these processes and their children (proc(5))."""
    found = subprocess.run(["pgrep", "-P", ",".join(map(str, pids))], capture_output=True, text=True, check=False)
    ticks = 0
    for pid in {*pids, *map(int, found.stdout.split())}:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def measure(port: int, host: str, pids: list[int]) -> tuple[float, float]:
    """Requests a second, and requests for each second of the proxy's processor time."""
    before = processor_seconds(pids)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", "Accept-Encoding: br", "-H", f"Host: {host}"]
    told = subprocess.run(
        [*command, f"https://127.0.0.1:{port}{PATH}"], capture_output=True, text=True, check=True
    ).stdout
    assert "Non-2xx" not in told, told
    requests = int(re.search(r"(\d+) requests in", told)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])
    return rate, requests / max(processor_seconds(pids) - before, 1 / TICK)


@contextmanager
def best(folder: Path, page: Path, headers: dict[str, str]):
    """Run HAProxy with one line."""
    port = free_port()
    said = " ".join(f'hdr {name} "{value}"' for name, value in headers.items())
    (folder / "best.cfg").write_text(BEST.format(port=port, folder=folder, file=page, headers=said))
    process = subprocess.Popen(["haproxy", "-W", "-f", folder / "best.cfg"], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        config = demo.prepare_folder(folder / "demo")
        variables = {"HAUMARU_SITE_BASE_URL": "https://haumaru.test", "HAUMARU_SITE_ONION": f"http://{'a' * 56}.onion"}
        # wrk names no host in TLS.
        shipped = stack.enter_context(haproxy(folder, free_port(), config, (" strict-sni", ""), variables=variables))
        nginx = int((folder / "nginx.pid").read_text())
        headers = answer_headers(shipped.port, "haumaru.test")
        page = folder / "static" / "pages" / FILE
        port, pid = stack.enter_context(best(folder, page, headers))
        sides = {"shipped": (shipped.port, [shipped.process.pid, nginx]), "best": (port, [pid])}
        turns = [{side: measure(at, "haumaru.test", pids) for side, (at, pids) in sides.items()} for _ in range(TURNS)]
    print(f"{PATH}: {page.name}, TLS, {CONNECTIONS} connections, median of {TURNS} turns of {SECONDS} s")
    for side in sides:
        print(f"  {side:8} {spread([turn[side][0] for turn in turns]):>24}")
    for which, words in ((0, "by requests a second"), (1, "by processor time")):
        ratio = median(turn["shipped"][which] / turn["best"][which] for turn in turns)
        print(f"  through the shipped proxy beside the same proxy's best, {words}: {ratio:.2f}")


if __name__ == "__main__":
    main()
