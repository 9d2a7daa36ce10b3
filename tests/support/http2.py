"""How many bytes an answer takes in HTTP/2, where headers are squeezed: just enough of RFC 9113 and RFC 7541 to ask."""

import ssl

from tests.support.proxies import NAME

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _SETTINGS, _DATA = 1, 4, 0
_END_STREAM, _END_HEADERS = 1, 4
# The preface and the client's settings, none of them (RFC 9113, 3.4).
BEGINNING = _PREFACE + bytes(3) + bytes([_SETTINGS, 0]) + bytes(4)


def answer_length(line: ssl.SSLSocket, path: str, coding: str) -> int:
    """The bytes of all frames of one answer, their heads included."""
    assert line.selected_alpn_protocol() == "h2"
    fields = {":method": "GET", ":path": path, ":authority": NAME, ":scheme": "https", "accept-encoding": coding}
    # Each field as a literal that is not indexed (RFC 7541, 6.2.2).
    asked = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())
    line.sendall(BEGINNING + _frame(_HEADERS, _END_STREAM | _END_HEADERS, 1, asked))
    total, ended = 0, False
    while not ended:
        length, kind, flags, stream = _head(_read(line, 9))
        _read(line, length)
        if stream == 1:
            assert kind in (_HEADERS, _DATA)
            total += 9 + length
            ended = bool(flags & _END_STREAM)
    return total


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _head(head: bytes) -> tuple[int, int, int, int]:
    return int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")


def _read(line: ssl.SSLSocket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        piece = line.recv(length - len(found))
        assert piece, "the proxy hung up"
        found += piece
    return found
