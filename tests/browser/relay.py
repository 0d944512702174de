# SPDX-License-Identifier: Apache-2.0
"""A TCP relay in front of a server, so that a test can break or hold its connections and mend them."""

import selectors
import socket
import threading


class Relay:
    def __init__(self, host, port):
        self.target = (host, port)
        self.lock = threading.Lock()
        self.sockets = set()
        self.listener = None
        self.flow = threading.Event()
        self.flow.set()
        self.address = ("127.0.0.1", 0)
        self.mend()
        self.address = self.listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"

    def mend(self):
        """Accepts connections (again), always on the same port."""
        self.listener = socket.create_server(self.address, backlog=64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        """Breaks all connections and refuses new ones."""
        self._end(self.listener)
        with self.lock:
            doomed = list(self.sockets)
        for sock in doomed:
            self._end(sock)

    def close(self):
        """The end."""
        self.flow.set()
        self.cut()

    def hold(self):
        """Carries nothing until released; connections stay, and new ones come."""
        self.flow.clear()

    def release(self):
        """Carries on, and what it was given meanwhile."""
        self.flow.set()

    @staticmethod
    def _end(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        pair = {client}
        try:
            server = socket.create_connection(self.target, timeout=60)
            server.settimeout(None)
            pair.add(server)
            with self.lock:
                self.sockets |= pair
            self._pump(client, server)
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.sockets -= pair
            for sock in pair:
                self._end(sock)

    def _pump(self, a, b):
        with selectors.DefaultSelector() as ready:
            ready.register(a, selectors.EVENT_READ, b)
            ready.register(b, selectors.EVENT_READ, a)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65536)
                    self.flow.wait()
                    if not data:
                        return
                    key.data.sendall(data)
