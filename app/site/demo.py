"""The demonstration: site, forwarder and desk in one folder, on loopback only, with a published key.

The agency is named an example, and everybody knows its key: a configuration that holds this key outside a
demonstration is a fault. Nothing is written to a disk outside the folder.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from tempfile import TemporaryDirectory

from app.core.catalogues import compile_catalogues
from app.core.durable import create_once, write_atomically
from app.core.resources import ROOT
from app.site import factory, preflight
from app.site.config import Config, load_config
from app.vault.keys import DEMONSTRATION, recipient_of
from app.vault.signature import encode_public_key, new_signing_key, public_bytes, read_signing_key

_PR_SET_PDEATHSIG = 1
_EXPIRES_DAYS = 365
MAX_INBOX_FILES = 2000
_LOOK_SECONDS = 1.0
_REPLIES = "http://127.0.0.1:{port}/agency/replies"
_REPLIES_LINE = r'^replies = "http://127\.0\.0\.1:\d+/agency/replies"$'

_SITE_TOML = """\
# A demonstration: nobody reads what is sent here. Its key is published, so anyone can open what it seals.
[site]
contact_email = "demonstration@example.org"
base_url = "http://127.0.0.1:8000"
demo = true

[site.operator]
en = "A demonstration on this computer"
mi = "He pae whakamātau i tēnei rorohiko"
zh-Hans = "这台电脑上的演示"
ms = "Tunjuk cara (demo) pada komputer ini"
vi = "Bản chạy thử trên máy tính này"
sm = "ʻO se faʻataʻitaʻiga i lenei komepiuta"
to = "Ko ha ʻahiʻahi ʻi he komipiuta ní"
fj = "Na ivakaraitaki ena kompiuta oqo"
hi = "इस कंप्यूटर पर डेमो"
tl = "Demo sa computer na ito"

[server]
secret_file = "secret"

[report]
agencies = ["example"]

[[agency]]
id = "example"
name = "Example agency"
recipients = ["{recipient}"]
expires = {expires}
reply_key = "{reply_key}"
deliver = "drop:inbox"

[agency.reads]
en = "never (this is a demonstration)"
mi = "kāore rawa (he pae whakamātau tēnei)"
zh-Hans = "从不（这是演示）"
ms = "tidak pernah (ini hanya tunjuk cara)"
vi = "không bao giờ (đây là bản chạy thử)"
sm = "leai lava (ʻo se faʻataʻitaʻiga lenei)"
to = "ʻikai ʻaupito (ko e ʻahiʻahi pē ʻeni)"
fj = "sega vakadua (oqo e ivakaraitaki ga)"
hi = "कभी नहीं (यह सिर्फ़ डेमो है)"
tl = "hindi kailanman (demo ito)"

[outbox]
url = "sqlite:///outbox.db"

[memory]
folder = "{memory}"

[forward]
window = "5s"
cells = 4
"""

_DESK_TOML = """\
# The demonstration agency's desk. It opens what the demonstration's site received.
[desk]
identities = ["identity.txt"]
signing_key = "signing.txt"
inbox = "inbox"
store = "store"
bind = "127.0.0.1:8001"
release = 1
retain_days = 90
contact = "Example agency, a demonstration"
acknowledge = true

[[handler]]
name = "Example handler"

[[handler]]
name = "Second example handler"

[[authority]]
id = "police"
name = "Example Police"
takes = ["danger", "children", "trafficking"]
recipients = ["{recipient}"]
deliver = "drop:referred/police"

[[authority]]
id = "mbie"
name = "Example MBIE (Employment New Zealand)"
takes = ["work"]
recipients = ["{recipient}"]
deliver = "drop:referred/mbie"

[[authority]]
id = "inz"
name = "Example Immigration New Zealand"
takes = ["movement", "documents"]
recipients = ["{recipient}"]
deliver = "drop:referred/inz"

[[authority]]
id = "oranga-tamariki"
name = "Example Oranga Tamariki"
takes = ["children"]
recipients = ["{recipient}"]
deliver = "drop:referred/oranga-tamariki"

[forward]
window = "8s"

[site]
agency = "example"
replies = "{replies}"
every = "1min"
"""


def prepare_folder(folder: Path) -> Path:
    """Write the missing files of the demonstration's folder and return the path of its `haumaru.toml`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "inbox").mkdir(mode=0o700, exist_ok=True)
    _write_once(folder / "identity.txt", f"# The published key of every demonstration.\n{DEMONSTRATION}\n")
    _write_once(folder / "signing.txt", new_signing_key(None)[0].decode())
    recipient = recipient_of(DEMONSTRATION)
    expires = (datetime.now(UTC) + timedelta(days=_EXPIRES_DAYS)).date().isoformat()
    reply_key = encode_public_key(public_bytes(read_signing_key((folder / "signing.txt").read_bytes(), None)))
    memory = _memory_folder(folder, os.environ)
    values = {
        "recipient": recipient,
        "expires": expires,
        "reply_key": reply_key,
        "memory": memory,
        "replies": _REPLIES.format(port=8000),
    }
    _write_once(folder / "haumaru.toml", _SITE_TOML.format(**values))
    _write_once(folder / "desk.toml", _DESK_TOML.format(**values))
    return folder / "haumaru.toml"


def direct_replies(config: Config) -> None:
    """Write into `desk.toml` the port at which this demonstration takes replies, unless another address was written."""
    path = config.folder / "desk.toml"
    text = path.read_text()
    current = _REPLIES.format(port=config.server.port)
    directed = re.sub(_REPLIES_LINE, f'replies = "{current}"', text, flags=re.MULTILINE)
    if directed != text:
        write_atomically(path, directed.encode())


def _memory_folder(folder: Path, env: Mapping[str, str]) -> Path:
    """Return where the demonstration keeps its memory store: in memory where there is such a place, else in `folder`.

    Two demonstrations of one machine share nothing, and a name that another user took first is not used.
    """
    for base in (env.get("XDG_RUNTIME_DIR", ""), "/dev/shm"):  # noqa: S108
        if base and os.access(base, os.W_OK) and preflight.is_in_memory(Path(base)):
            digest = sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
            memory = Path(base) / f"haumaru-demo-{os.getuid()}-{digest}"
            if not memory.exists() or memory.stat().st_uid == os.getuid():
                return memory
    return (folder / "memory").resolve()


def build_outputs(folder: Path, config: Config | None = None) -> Iterator[str]:
    """Make the catalogues, every page and the handouts, the PDFs in `folder`; yield one line for each result.

    Without the configuration of a site, they are those of a demonstration, which has no address to print.
    """
    for path in compile_catalogues(ROOT / "translations"):
        yield f"{path.parent.parent.name}: catalogue"
    with TemporaryDirectory() as temporary:
        config = config or load_config(prepare_folder(Path(temporary)), {})
        prerendered = factory.render_guide(config, token_bytes(32))
    folder.mkdir(parents=True, exist_ok=True)
    for handout in prerendered.handouts.values():
        (folder / handout.name).write_bytes(handout.data)
    yield f"{len(prerendered.handouts)} sheets in {folder}"
    pages = {path: len(page.br) for path, page in prerendered.pages.items() if page.br}
    largest = max(pages, key=lambda path: pages[path])
    yield f"{len(pages)} pages; the largest, {largest}, takes {pages[largest]} bytes compressed"
    stale = [f"translations/{code}" for code, one in prerendered.catalogue_reviews.items() if one.stale]
    for name in (*prerendered.library.stale, *stale):
        yield f"{name}: the English is newer than this translation"


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the address of the demonstration; `PORT` chooses the port."""
    port = env.get("PORT", "8000")
    return {
        "HAUMARU_SITE_BASE_URL": f"http://127.0.0.1:{port}",
        "HAUMARU_SERVER_BIND": f"127.0.0.1:{port}",
        **env,
    }


@contextmanager
def run_forwarder(path: Path) -> Iterator[None]:
    """Run the forwarder in a process that ends with this process, even if this process is killed."""
    command = [sys.executable, "-m", "app.site.cli", "forward", "--config", str(path)]
    with subprocess.Popen(command, preexec_fn=_end_with_parent, env=environment(os.environ)) as process:  # noqa: PLW1509, S603  # no threads yet
        try:
            yield
        finally:
            process.terminate()


def forward(config: Config, stop: threading.Event, *, say: Callable[[str], None]) -> None:
    """Deliver until `stop` is set, but pause, and say so, while the inbox holds too many files."""
    inboxes = [config.folder / agency.destination.url.removeprefix("drop:") for agency in config.agencies]
    while not stop.is_set():
        if _is_full(inboxes):
            say(
                f"The inbox holds over {MAX_INBOX_FILES:,} files, so nothing is delivered. Run `make desk` to empty it."
            )
            _wait_while(lambda: _is_full(inboxes), stop)
            continue
        pause = threading.Event()
        forwarder = threading.Thread(target=factory.build_forwarder(config).run, args=(pause,))
        forwarder.start()
        _wait_while(lambda: not _is_full(inboxes), stop)
        pause.set()
        forwarder.join()


def _wait_while(condition: Callable[[], bool], stop: threading.Event) -> None:
    while condition() and not stop.wait(_LOOK_SECONDS):
        pass


def _is_full(inboxes: Sequence[Path]) -> bool:
    return any(sum(1 for _ in inbox.iterdir()) > MAX_INBOX_FILES for inbox in inboxes if inbox.is_dir())


def warnings(config: Config) -> list[str]:
    """Return a sentence where the memory store lies on a disk."""
    folder = config.memory.folder
    if folder is None or preflight.is_in_memory(folder):
        return []
    return [f"This machine has no folder in memory, so the demonstration writes data on a disk, in {folder}."]


def welcome_text(config: Config) -> str:
    """Return what to do next, for the person who started the demonstration."""
    return (
        f"The demonstration is at {config.site.base_url}/ (press Ctrl-C to stop it).\n"
        "Reports go to instance/demo/inbox/. Run `make desk` in another terminal to open them."
    )


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _write_once(path: Path, text: str) -> None:
    with suppress(FileExistsError):
        create_once(path, text.encode())
