"""Firefox, driven over its own Marionette protocol: a line of JSON each way, so that no driver is needed."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START = 60.0
PREFERENCES = {
    "marionette.port": 0,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "network.proxy.type": 2,
    "network.proxy.autoconfig_url": "",
}


class Firefox:
    """One tab; each method is a WebDriver command."""

    def __init__(self, port: int) -> None:
        self._wire = socket.create_connection(("127.0.0.1", port), timeout=START)
        self._read()
        self._count = 0
        self.ask("NewSession", acceptInsecureCerts=True)

    def ask(self, command: str, /, **values: object) -> object:
        """Send one command and hand back its value."""
        self._count += 1
        line = json.dumps([0, self._count, f"WebDriver:{command}", values])
        self._wire.sendall(f"{len(line)}:{line}".encode())
        _, _, error, result = self._read()
        assert error is None, error
        return result.get("value") if isinstance(result, dict) and "value" in result else result

    def _read(self):
        head = b""
        while not head.endswith(b":"):
            head += self._wire.recv(1)
        body, left = b"", int(head[:-1])
        while len(body) < left:
            body += self._wire.recv(left - len(body))
        return json.loads(body)

    @property
    def address(self) -> str:
        return str(self.ask("GetCurrentURL"))

    @property
    def source(self) -> str:
        return str(self.ask("GetPageSource"))

    def open(self, url: str) -> None:
        self.ask("Navigate", url=url)

    def back(self) -> None:
        self.ask("Back")

    def click(self, css: str) -> None:
        self.ask("ElementClick", id=self._find(css))

    def fill(self, css: str, text: str) -> None:
        """Type a text into a field, or choose the file of that path."""
        self.ask("ElementSendKeys", id=self._find(css), text=text)

    def value(self, css: str) -> str:
        return str(self.ask("GetElementProperty", id=self._find(css), name="value"))

    def _find(self, css: str) -> str:
        element = self.ask("FindElement", using="css selector", value=css)
        return next(iter(element.values()))

    def close(self) -> None:
        self._wire.close()


@contextmanager
def firefox(profile: Path, *, proxy: tuple[str, int], javascript: bool = True) -> Iterator[Firefox]:
    """A headless Firefox with a profile of its own; requests to `proxy`'s host go through that local port."""
    profile.mkdir()
    host, port = proxy
    pac = f"function FindProxyForURL(u, h) {{ return h == '{host}' ? 'PROXY 127.0.0.1:{port}' : 'DIRECT'; }}"
    wanted = PREFERENCES | {"network.proxy.autoconfig_url": f"data:,{pac}", "javascript.enabled": javascript}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in wanted.items()]
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
    command = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        tab = None
        try:
            tab = Firefox(_port(profile / "MarionetteActivePort"))
            yield tab
        finally:
            if tab:
                tab.close()
            process.terminate()


def _port(file: Path) -> int:
    """The port that Firefox chose, once it has written it down."""
    for _ in range(int(START / 0.1)):
        if file.exists() and file.read_text(encoding="ascii").strip():
            return int(file.read_text(encoding="ascii"))
        time.sleep(0.1)
    raise AssertionError("Firefox did not start")
