"""Whether a session survives a lost response. Clients refresh through a proxy that drops one response, give up after 10, 15, 30 and
60 s, and send the same request again: with and without `attempt`, against the dev server. Prints what the second request got, and
whether the session goes on.

    python3 bench/lost_reply.py

Needs nothing but Python, and takes a minute: all clients wait at the same time.
"""

import concurrent.futures
import http.client
import json
import select
import socket
import threading
import time
import uuid

from dev_server import connect, dev_server, send

# What clients wait for: OkHttp's default, common settings, and URLSession's default.
TIMEOUTS = [10, 15, 30, 60]
ACCOUNT = {"phone": "01012345678", "password": "mypassword"}
# Plain HTTP clients send a name of themselves.
HEADERS = {"Content-Type": "application/json", "User-Agent": "lost-reply/1"}


class DroppingProxy:
    """Passes bytes on to the server, and drops everything that the server sends over the first connection."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:{}".format(self.listener.getsockname()[1])
        self.dropped = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        first = True
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(client, first), daemon=True).start()
            first = False

    def relay(self, client, drops):
        with client, socket.create_connection(self.target) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    try:
                        data = source.recv(65536)
                        if not data:
                            return
                        if source is client:
                            server.sendall(data)
                        elif drops:
                            self.dropped += len(data)
                        else:
                            client.sendall(data)
                    except OSError:
                        return

    def close(self):
        self.listener.close()


def refresh(address, body, timeout):
    """Sends a refresh. Returns the status and the body of the response, or nothing after the time-out."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request("POST", "/auth/refresh", json.dumps(body), HEADERS)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except TimeoutError:
        return None
    finally:
        connection.close()


def lose_one_reply(address, tokens, timeout, with_attempt):
    """Returns what the repeated request got, after how long, and what the next refresh got."""
    body = {"refresh_token": tokens["refresh_token"]}
    if with_attempt:
        body["attempt"] = str(uuid.uuid4())
    proxy = DroppingProxy(address)
    started = time.monotonic()
    lost = refresh(proxy.address, body, timeout)
    if lost is not None or proxy.dropped == 0:
        raise SystemExit("the proxy dropped nothing")
    status, answer = refresh(proxy.address, body, 5)
    late = time.monotonic() - started
    proxy.close()
    if status != 200:
        return late, f"{status} {answer['code']}", "signed out"
    status, _ = refresh(address, {"refresh_token": answer["refresh_token"]}, 5)
    return late, "200", "goes on" if status == 200 else "signed out"


def main():
    with dev_server(environment={"RUST_LOG": "off"}) as address:
        connection = connect(address)
        send(connection, "POST", "/auth/register", ACCOUNT)
        cases = [(timeout, with_attempt) for with_attempt in (True, False) for timeout in TIMEOUTS]
        # One login after the other: of many at once, the throttle admits six.
        pairs = [send(connection, "POST", "/auth/login", ACCOUNT)[1] for _ in cases]
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as clients:
            running = [clients.submit(lose_one_reply, address, pair, *case) for pair, case in zip(pairs, cases)]
            results = [future.result() for future in running]
    print(f"{'attempt':9} {'time-out':>8} {'repeated after':>14}  {'response':22} session")
    for (timeout, with_attempt), (late, response, session) in zip(cases, results):
        print(f"{'yes' if with_attempt else 'no':9} {timeout:6} s {late:12.2f} s  {response:22} {session}")


main()
