"""A page from memory beside nginx's static file: the same bytes and headers, by turns (needs nginx and wrk).

Beside them stands a function of one line under our server: what no application in Python could be faster than there.
"""

import http.client
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from granian import Granian
from granian.constants import HTTPModes, Interfaces

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.core import process as commands
from app.site import demo
from tests.support.figures import spread
from tests.support.ports import free_port

PATH = "/en/help"
CONNECTIONS, SECONDS, TURNS = 16, 5, 5
OWN = {"date", "connection", "keep-alive", "transfer-encoding"}
NGINX = """\
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    etag off;
    max_ranges 0;
    keepalive_requests 100000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            root {folder}/pages;
            default_type text/html;
            charset utf-8;
{headers}
        }}
    }}
}}
"""


def bare(port: int, headers: list[tuple[str, str]], body: bytes) -> None:
    """Serve one answer to every request as `haumaru serve` would, and nothing else."""

    def answer(_, start_response):
        start_response("200 OK", headers)
        return [body]

    def load():
        commands.use_batch_scheduling()
        return answer

    multiprocessing.set_start_method("fork")
    how = {"workers": 2, "blocking_threads": 64, "backpressure": 4096, "http": HTTPModes.http1, "websockets": False}
    Granian("bare", port=port, interface=Interfaces.WSGI, log_enabled=False, **how).serve(
        target_loader=load, wrap_loader=False
    )


@contextmanager
def running(command: list[str], port: int, **how):
    process = subprocess.Popen(command, **how)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} did not start") from None
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def fetch(port: int, host: int):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", PATH, headers={"Accept-Encoding": "br", "Host": f"127.0.0.1:{host}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, answer.status
    return {name.lower(): value for name, value in answer.getheaders() if name.lower() not in OWN}, body


def rate(port: int, host: int) -> tuple[float, float]:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-H", "Accept-Encoding: br"]
    command += ["-H", f"Host: 127.0.0.1:{host}", f"http://127.0.0.1:{port}{PATH}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    p99 = re.search(r"^ +99% +(\S+)", told, re.MULTILINE)[1]
    return float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]), milliseconds(p99)


def milliseconds(told: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", told).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def main() -> None:
    port, beside, one_line = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        config = demo.prepare_folder(folder / "demo")
        own = {"HAUMARU_SITE_BASE_URL": f"http://127.0.0.1:{port}", "HAUMARU_SERVER_BIND": f"127.0.0.1:{port}"}
        program = [str(Path(sys.executable).parent / "haumaru"), "serve", "--config", str(config)]
        stack.enter_context(running(program, port, env=os.environ | own, stderr=subprocess.DEVNULL))
        headers, body = fetch(port, port)
        kept = folder / "pages" / PATH.strip("/")
        kept.parent.mkdir(parents=True)
        kept.write_bytes(body)
        lines = "\n".join(
            f'            add_header {name} "{value}";'
            for name, value in headers.items()
            if name not in ("content-length", "content-type", "server")
        )
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=beside, headers=lines))
        nginx = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        stack.enter_context(running(nginx, beside, stderr=subprocess.DEVNULL))
        theirs, same = fetch(beside, port)
        assert same == body
        assert headers.items() - theirs.items() <= {("server", headers["server"])}, headers.items() - theirs.items()
        (folder / "answer").write_bytes(body)
        sent = json.dumps([*headers.items(), ("content-length", str(len(body)))])
        program = [sys.executable, __file__, "bare", str(one_line), sent, str(folder / "answer")]
        stack.enter_context(running(program, one_line, stderr=subprocess.DEVNULL))
        assert fetch(one_line, port) == (headers, body)
        sides = {"ours": port, "nginx": beside, "one line": one_line}
        turns = [{name: rate(at, port) for name, at in sides.items()} for _ in range(TURNS)]
    print(f"{PATH}: {len(body)} bytes in brotli, {CONNECTIONS} connections, 2 workers each, median of {TURNS} turns")
    for name in sides:
        rates = [turn[name][0] for turn in turns]
        p99 = median(turn[name][1] for turn in turns)
        print(f"  {name:8} {spread(rates):>24}, p99 {p99:.1f} ms")
    for name in ("nginx", "one line"):
        print(f"  ours beside {name}: {median(turn['ours'][0] / turn[name][0] for turn in turns):.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        bare(int(sys.argv[2]), [tuple(pair) for pair in json.loads(sys.argv[3])], Path(sys.argv[4]).read_bytes())
    else:
        main()
