"""The desk's TLS: nobody waits for a silent connection, each connection ends, and nothing is answered without TLS."""

import http.client
import socket
import ssl
import threading
from contextlib import contextmanager

import pytest
import trustme

from app.core.errors import ConfigError
from app.desk.config import ListenAddress
from app.desk.web import factory, tls_server
from app.desk.web.tls_server import MAX_OF_ADDRESS, TlsServer, tls_context
from tests.support.desk import wait_for


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    made = trustme.CA().issue_cert("localhost")
    made.private_key_pem.write_to_path(folder / "key.pem")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def tls_server_of(files, **more):
    server = TlsServer(ListenAddress("127.0.0.1", 0), tls_context(*files), **more)
    server.app = answer
    with factory.serving(server):
        yield server


def answer(environ, start_response):
    body = f"{environ['wsgi.url_scheme']} {environ['REQUEST_METHOD']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def ask(port, **versions) -> tuple[bytes, str | None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in versions.items():
        setattr(context, name, value)
    client = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    client.request("GET", "/")
    got = client.getresponse()
    data = got.read(), got.getheader("Server")
    client.request("POST", "/", body=b"x")  # on the same connection
    assert client.getresponse().read() == b"https POST"
    client.close()
    return data


def heard(connection: socket.socket) -> bytes:
    """What comes before the server closes a connection."""
    connection.settimeout(5)
    try:
        return connection.recv(1000)
    except ConnectionError:
        return b""


def test_a_silent_connection_keeps_nobody_waiting(files):
    """While twenty connections say nothing, and one speaks HTTP without TLS, a handler is answered."""
    with tls_server_of(files) as server:
        silent = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(20)]
        with socket.create_connection(("127.0.0.1", server.server_port)) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"HTTP/" not in heard(plain)
        assert ask(server.server_port) == (b"https GET", "desk")
        for one in silent:
            one.close()


def test_a_connection_that_drips_is_cut(files):
    """A connection that sends a byte now and then, and never a request, is cut when its time is over."""
    with tls_server_of(files, head_seconds=0.5) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", server.server_port)) as raw, context.wrap_socket(raw) as drip:
            sent = threading.Event()

            def is_cut() -> bool:
                sent.wait(0.1)
                try:
                    drip.sendall(b"G")
                except OSError:
                    return True
                return False

            wait_for(is_cut)
        wait_for(lambda: not server._ends and not server._addresses.total())


def test_one_address_gets_no_more_than_its_share(files):
    """An address that holds its share of connections gets no further one, and gets one again when they end."""
    with tls_server_of(files) as server:
        held = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(MAX_OF_ADDRESS)]
        wait_for(lambda: server._addresses.total() == MAX_OF_ADDRESS)
        with pytest.raises(OSError):  # noqa: PT011  # closed, reset or cut in the handshake
            ask(server.server_port)
        for one in held:
            one.close()
        wait_for(lambda: not server._addresses.total())
        assert ask(server.server_port)[0] == b"https GET"


def test_old_tls_is_refused(files):
    """TLS 1.2 and 1.3 are spoken, and nothing older."""
    with tls_server_of(files) as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert ask(server.server_port, minimum_version=version, maximum_version=version)[0] == b"https GET"
    assert tls_context(*files).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_wrong_certificate_is_said(files, tmp_path):
    """A certificate that is missing, is no certificate, or has another key stops the start with its remedy."""
    other = trustme.CA().issue_cert("localhost")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    (tmp_path / "junk.pem").write_text("junk")
    for cert, key in (
        (files[0], tmp_path / "other.pem"),
        (tmp_path / "junk.pem", files[1]),
        (tmp_path / "no", files[1]),
    ):
        with pytest.raises(ConfigError, match="tls_cert, tls_key: cannot be used"):
            tls_context(cert, key)


def test_an_error_of_a_connection_prints_nothing(files, capfd):
    """What a stranger sends is on no terminal, in no log."""
    with tls_server_of(files) as server:
        with socket.create_connection(("127.0.0.1", server.server_port)) as plain:
            plain.sendall(b"SECRET / HTTP/1.1\r\n\r\n" * 20)
            heard(plain)
        wait_for(lambda: not server._addresses.total())
    assert capfd.readouterr() == ("", "")
    assert tls_server.MAX_CONNECTIONS > MAX_OF_ADDRESS
