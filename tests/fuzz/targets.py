"""Everything that reads bytes of strangers, each as one function of bytes that may raise nothing but our own errors.

`tests/unit/test_fuzz.py` runs each for a moment on every change; `tests/fuzz/drive.py` runs one for hours.
"""

import base64
import json
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from functools import cache
from io import BytesIO
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core import i18n
from app.core.errors import HaumaruError
from app.core.unicode import clean_document_text, clean_text
from app.delivery import receipt_codes, reply_store
from app.desk import imap
from app.desk.config import load_desk_config
from app.desk.referral import Referral, pack_referral, read_referral, referral_words
from app.desk.similarity import text_sketch
from app.files import sniff
from app.site import demo, factory
from app.site.config import load_config
from app.text.find import find_identifying, remove_spans
from app.text.skeleton import skeleton_words
from app.vault import age_open, bundle, keys, part, reply, tip, tip_bundles
from app.vault.age import seal
from tests.support.growth import MOST_GROWTH, growth
from tests.support.phrases import phrases

_SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
_PUBLIC = _SIGNER.public_key().public_bytes_raw()
_KEY, _LOCATOR = bytes(32), "0" * 32
_HOST = "127.0.0.1:8000"


@dataclass(frozen=True)
class Target:
    """A reader, and a few inputs that it takes or nearly takes, to be changed at random."""

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    slow: bool = False

    def __call__(self, data: bytes) -> None:
        """Read; anything raised but our own errors is a find."""
        with suppress(HaumaruError):
            self.read(data)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _identity_file(data: bytes) -> None:
    age_open.read_identity_file(data, lambda: "a passphrase")


def _referral_seeds() -> list[bytes]:
    picture = tip.TipFile("files/1.jpg", "image/jpeg", (), b"\xff\xd8\xff")
    made = Referral(
        id=tip.new_tip_id(),
        to="Police",
        day=datetime.now(UTC).date(),
        summary="s",
        danger="yes",
        children="no",
        kinds=("work",),
        fields={"what": "w"},
        files=(picture,),
        removed=("name",),
        contact="desk",
        key=base64.b64encode(_PUBLIC).decode(),
    )
    return [pack_referral(referral_words(made), _SIGNER)]


def _bundle_seeds() -> list[bytes]:
    return [sample.data for sample in _sample_bundles()]


def _part(data: bytes) -> None:
    words = tip_bundles.read_words(_sample_bundles()[0].data)
    tip_bundles.from_bundles(words, [part.read_part(data)])


def _files_seeds() -> list[bytes]:
    return [b"".join(bundle.pack_files(files)) for files in ({"files/1.jpg": b"\xff\xd8\xff", "files/2.pdf": b""}, {})]


@cache
def _sample_bundles() -> list[tip_bundles.Bundle]:
    picture = tip.TipFile("files/1.jpg", "image/jpeg", ("EXIF",), b"\xff\xd8\xff")
    whole = tip.Tip(tip.new_tip_id(), datetime.now(UTC).date(), {"what": "w", "kinds": ("work",)}, files=(picture,))
    return tip_bundles.to_bundles(whole)


def _reply_post(data: bytes) -> None:
    signature = base64.b64encode(_SIGNER.sign(b"haumaru/reply-post/1" + data)).decode()
    reply_store.read_reply_post(data, signature, {"intake": _PUBLIC})
    reply_store.read_reply_post(data, _text(data[:200]), {"intake": _PUBLIC})


def _reply_post_seeds() -> list[bytes]:
    sealed = reply.seal_reply({"text": "thank you"}, _KEY, _LOCATOR)
    expires = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    fields = {"agency": "intake", "reply_id": "1", "locator": _LOCATOR, "expires": expires}
    return [json.dumps({**fields, "message": base64.b64encode(sealed).decode()}).encode(), b"[]", b"{}", b"null"]


def _configuration(load: Callable[..., object]) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        path = _folder() / "fuzz.toml"
        path.write_bytes(data)
        load(path, {})

    return read


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="haumaru-fuzz-"))


@cache
def _demo() -> Path:
    return demo.prepare_folder(_folder() / "demo")


def _configuration_seeds() -> list[bytes]:
    return [
        _demo().read_bytes(),
        _demo().with_name("desk.toml").read_bytes(),
        b"[site]\nname = 1\n[[agency]]\nid = []\n",
    ]


def _mail(data: bytes) -> None:
    imap._attached(data)  # what a stranger's mail may hold


def _mail_seeds() -> list[bytes]:
    message = Message()
    message["Content-Type"] = 'application/octet-stream; name="x.age"'
    message["Content-Transfer-Encoding"] = "base64"
    message.set_payload(base64.b64encode(b"age-encryption.org/v1\n").decode())
    return [message.as_bytes(), b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n--x--\n"]


@cache
def _gate() -> Callable:
    settings = load_config(_demo(), {"HAUMARU_LIMITS_PER_ADDRESS": "1000000000/hour"})
    return factory.build_site(factory.prerender_site(settings))


def _request(data: bytes) -> None:
    """One request, its parts divided by zero bytes: method and path, query, type, cookie, languages, origin, body."""
    parts = [*data.split(b"\0", 6), *[b""] * 7][:7]
    path, query, kind, cookie, accepted, origin, body = parts
    method, _, path = path.partition(b" ")
    said = {
        "QUERY_STRING": query,
        "CONTENT_TYPE": kind,
        "HTTP_COOKIE": cookie,
        "HTTP_ACCEPT_LANGUAGE": accepted,
        "HTTP_ORIGIN": origin,
        "HTTP_X_FORWARDED_FOR": accepted,
        "HTTP_ACCEPT_ENCODING": accepted,
    }
    environ = {name: value.decode("latin-1") for name, value in said.items() if value}
    environ |= {
        "REQUEST_METHOD": "POST" if method == b"POST" else "GET",
        "PATH_INFO": "/" + path.decode("latin-1").lstrip("/"),
        "QUERY_STRING": environ.get("QUERY_STRING", ""),
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": _HOST,
        "HTTP_SEC_FETCH_SITE": "same-origin",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": BytesIO(),
        "wsgi.version": (1, 0),
    }
    answered: list[str] = []
    b"".join(_gate()(environ, lambda status, headers, exc_info=None: answered.append(status)))  # noqa: ARG005
    assert not answered[0].startswith("500"), f"{method!r} {path!r} answered {answered[0]}"


def _request_seeds() -> list[bytes]:
    form = b"csrf_token=x&draft=&code=&website=&what=hello&kinds=work&kinds=other&danger=no&remove=what:0-4&step=check"
    multipart = (
        b'--b\r\nContent-Disposition: form-data; name="what"\r\n\r\nhello\r\n--b\r\nContent-Disposition: form-data; '
        b'name="files"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0\r\n--b--\r\n'
    )
    url = b"application/x-www-form-urlencoded"
    rows = [
        (
            b"GET en/plan",
            b"pillar=prevention&agency=INZ&goal=1&timetable=short",
            b"",
            b"x=1; a=b",
            b"mi;q=0.8, zh-TW, *;q=0",
        ),
        (b"GET ", b"", b"", b"", b"fil, tl;q=0.7, en-NZ;q=1.0000001"),
        (b"POST en/report", b"", url, b"", b"", b"http://127.0.0.1:8000", form),
        (b"POST en/report", b"", b"multipart/form-data; boundary=b", b"", b"", b"", multipart),
        (b"POST hi/reply", b"", url, b"", b"", b"", b"csrf_token=x&code=0001 0002&step=read"),
        (
            b"POST hi/reply",
            b"",
            url,
            b"",
            b"",
            b"",
            b"csrf_token=x&code=0001 0002&asked=languages&what=x&draft=00&shown=x&step=confirm",
        ),
        (b"POST agency/replies", b"", b"application/json", b"", b"", b"", b"{}"),
        (b"POST go", b"", b"", b"x=1", b"", b"", b""),
    ]
    return [b"\0".join(row) for row in rows]


def _hygiene(data: bytes) -> None:
    said = clean_text(_text(data))
    assert clean_text(said) == said
    found = find_identifying(said, phrases=phrases())
    remove_spans(said, [(one.start, one.end) for one in found])


def _cost(data: bytes) -> None:
    """Cleaning, finding and comparing take no longer for each letter of a long text than of a short one."""
    unit = _text(data[:48]) or " "

    def work(text: str) -> None:
        said = clean_text(text)
        find_identifying(said, phrases=phrases())
        text_sketch(text)
        tuple(skeleton_words(text))
        clean_document_text(text)

    times = growth(work, unit, 500)
    assert times < MOST_GROWTH or growth(work, unit, 2000) < MOST_GROWTH, (
        f"{unit!r} repeated: {times:.1f} times as long"
    )


TARGETS = {
    "envelope": Target(
        lambda data: age_open.unseal(data, [keys.DEMONSTRATION]),
        lambda: [
            seal(b"hello", [keys.recipient_of(keys.DEMONSTRATION)]),
            b"age-encryption.org/v1\n-> X25519 a\nb\n--- c\n",
        ],
    ),
    "identity-file": Target(
        _identity_file,
        lambda: [f"# a key\n{keys.DEMONSTRATION}\n".encode(), b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n"],
    ),
    "recipient": Target(
        lambda data: keys.parse_recipient(_text(data)), lambda: [keys.recipient_of(keys.DEMONSTRATION).encode()]
    ),
    "words": Target(tip_bundles.read_words, _bundle_seeds, slow=True),
    "part": Target(_part, _bundle_seeds, slow=True),
    "files": Target(lambda data: bundle.unpack_files(data, re.compile("files/.*")), _files_seeds),
    "referral": Target(read_referral, _referral_seeds, slow=True),
    "reply": Target(
        lambda data: reply.open_reply(data, _KEY, _LOCATOR), lambda: [reply.seal_reply({"text": "x"}, _KEY, _LOCATOR)]
    ),
    "reply-post": Target(_reply_post, _reply_post_seeds),
    "receipt-code": Target(
        lambda data: receipt_codes.parse_code(_text(data)),
        lambda: [receipt_codes.new_code().encode(), receipt_codes.code_as_numbers(receipt_codes.new_code()).encode()],
    ),
    "configuration": Target(_configuration(load_config), _configuration_seeds, slow=True),
    "desk-configuration": Target(_configuration(load_desk_config), _configuration_seeds, slow=True),
    "accept-language": Target(
        lambda data: i18n.best_language(_text(data), i18n.LANGUAGES),
        lambda: [b"fil, zh-Hant;q=0.9, *;q=0.1", b"en;q=nan,;=,"],
    ),
    "mail": Target(_mail, _mail_seeds),
    "sniff": Target(
        sniff.task_for, lambda: [b"\xff\xd8\xff\xe0JFIF", b"%PDF-1.7\n", b"\0\0\0\x18ftypisom", b"RIFF....WEBPVP8 "]
    ),
    "text": Target(
        _hygiene, lambda: [b"My name is Rangi Sample, 021 555 0199, IRD 49-091-850", "मेरा नाम राम है".encode()]
    ),
    "text-cost": Target(
        _cost, lambda: ["a\u0301\u0323".encode(), b"my name is A B ", b"021 555 01", "\u0f73\u0f72".encode()], slow=True
    ),
    "request": Target(_request, _request_seeds, slow=True),
}
