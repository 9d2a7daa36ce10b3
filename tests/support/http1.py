"""How many bytes an answer takes in HTTP/1.1."""

import ssl

from tests.support.proxies import NAME


def answer_length(line: ssl.SSLSocket, path: str, coding: str) -> int:
    """The bytes of one answer, headers and all (RFC 9112)."""
    asked = f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n"
    line.sendall(asked.encode())
    answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert f"content-encoding: {coding}".encode() in answer.lower()
    return len(answer)
