"""A proxy that makes tunnels (RFC 9110, section 9.3.6): the only way to hosts whose names nobody else can resolve."""

import base64
import select
import socket

from served import Handler, Served

PIECE = 64 * 1024
IDLE = 20


class Tunnels(Served):
    """`hosts` says where each `host:port` really is; `login` is the user and the password that it wants."""

    def __init__(self, hosts, login):
        super().__init__(_Handler)
        self.hosts = hosts
        self.login = login
        self.asked = []

    def note(self, host, status):
        with self.lock:
            self.asked.append((host, status))

    def forget(self):
        """Begins a new list of what was asked for."""
        with self.lock:
            self.asked = []

    def statuses(self, host):
        """What those were told who asked for a tunnel to `host`, each status once."""
        with self.lock:
            return {status for asked, status in self.asked if asked == host}


class _Handler(Handler):
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self):
        proxy = self.owner
        self.close_connection = True
        expected = base64.b64encode(proxy.login.encode()).decode()
        if self.headers.get("Proxy-Authorization") != f"Basic {expected}":
            self._refuse(407)
            return
        place = proxy.hosts.get(self.path)
        if place is None:
            self._refuse(502)
            return
        address, port = place.split(":")
        with socket.create_connection((address, int(port)), IDLE) as other:
            proxy.note(self.path, 200)
            self.send_response_only(200)
            self.end_headers()
            _relay(self.connection, other)

    def _refuse(self, status):
        self.owner.note(self.path, status)
        self.send_response_only(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="e2e"')
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()


def _relay(one, other):
    ends = {one: other, other: one}
    while ready := select.select(list(ends), [], [], IDLE)[0]:
        for end in ready:
            try:
                piece = end.recv(PIECE)
                if not piece:
                    return
                ends[end].sendall(piece)
            except OSError:
                return
