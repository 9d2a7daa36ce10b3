"""A page from memory beside nginx's static file: the same bytes and headers, by turns (needs nginx and wrk)."""

import http.client
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

from app import demo

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


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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


def rate(port: int, host: int) -> tuple[float, str]:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-H", "Accept-Encoding: br"]
    command += ["-H", f"Host: 127.0.0.1:{host}", f"http://127.0.0.1:{port}{PATH}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    return float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]), re.search(r"99%\s+(\S+)", told)[1]


def main() -> None:
    port, beside = free_port(), free_port()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        config = demo.prepare(folder / "demo")
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
        turns = [(rate(port, port), rate(beside, port)) for _ in range(TURNS)]
    ours, nginxs = median(turn[0][0] for turn in turns), median(turn[1][0] for turn in turns)
    ratio = median(turn[0][0] / turn[1][0] for turn in turns)
    print(f"{PATH}: {len(body)} bytes in brotli, {CONNECTIONS} connections, 2 workers each, median of {TURNS} turns")
    print(f"  ours  {ours:>8.0f} requests/s, p99 {sorted(turn[0][1] for turn in turns)[TURNS // 2]}")
    print(f"  nginx {nginxs:>8.0f} requests/s, p99 {sorted(turn[1][1] for turn in turns)[TURNS // 2]}")
    print(f"  ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
