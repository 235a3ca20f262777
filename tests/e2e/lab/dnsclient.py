"""Clients on the wire: whole messages through dnspython, and raw octets where every one counts."""
import socket
import struct
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype


def query(name, kind="A", **options):
    options.setdefault("use_edns", False)
    return dns.message.make_query(name, kind, **options)


def ask(server, name, kind="A", tcp=False, timeout=4.0, **options):
    message = name if isinstance(name, dns.message.Message) else query(name, kind, **options)
    exchange = dns.query.tcp if tcp else dns.query.udp
    return exchange(message, server[0], port=server[1], timeout=timeout)


def addresses(reply):
    return [r.address for rrset in reply.answer for r in rrset if r.rdtype in (1, 28)]


def is_nodata(reply):
    return reply.rcode() == dns.rcode.NOERROR and not reply.answer


def has_own_soa(reply, name):
    """The negative answer of our own making: a SOA at the name, to be kept for a second."""
    soas = [rrset for rrset in reply.authority if rrset.rdtype == dns.rdatatype.SOA]
    return (len(soas) == 1 and soas[0].name.to_text(omit_final_dot=True).lower() == name.lower()
            and soas[0].ttl == 1 and soas[0][0].minimum == 1)


def error_codes(reply):
    """The Extended DNS Errors (RFC 8914) in a reply."""
    return [o.code for o in reply.options if o.otype == 15]


def udp_socket(server, local=None):
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    if local is not None:
        s.bind((local, 0))
    s.connect(tuple(server))
    s.settimeout(4)
    return s


def tcp_socket(server):
    s = socket.create_connection(tuple(server), timeout=4)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def frame(wire):
    return struct.pack("!H", len(wire)) + wire


def receive_exactly(s, size):
    out = b""
    while len(out) < size:
        part = s.recv(size - len(out))
        if not part:
            return out
        out += part
    return out


def receive_message(s):
    """The next message of a TCP stream, or None at its end."""
    head = receive_exactly(s, 2)
    return receive_exactly(s, struct.unpack("!H", head)[0]) if len(head) == 2 else None


def exchange_many(server, wires, window=64, timeout=5.0, retries=2):
    """Raw queries over UDP, at most `window` at a time: the replies without their IDs, in the order of the queries."""
    replies = [None] * len(wires)
    for _ in range(1 + retries):
        missing = [i for i, reply in enumerate(replies) if reply is None]
        if not missing:
            break
        s = udp_socket(server)
        s.settimeout(timeout)
        waiting = {}
        todo = iter(missing)
        free_ids = list(range(window, 0, -1))
        try:
            while True:
                while free_ids and (i := next(todo, None)) is not None:
                    number = free_ids.pop()
                    waiting[number] = i
                    s.send(struct.pack("!H", number) + wires[i][2:])
                if not waiting:
                    break
                got = s.recv(65535)
                number = struct.unpack("!H", got[:2])[0]
                if number in waiting:
                    replies[waiting.pop(number)] = got[2:]
                    free_ids.append(number)
        except socket.timeout:
            pass  # UDP loses; what is missing is asked again
        finally:
            s.close()
    return replies


def exchange_many_tcp(server, wires, window=50):
    """The same over TCP, pipelined: `window` queries written at once, replies in any order; a connection each 1,000."""
    replies = [None] * len(wires)
    for start in range(0, len(wires), 1000):
        with tcp_socket(server) as s:
            for first in range(start, min(start + 1000, len(wires)), window):
                batch = range(first, min(first + window, start + 1000, len(wires)))
                s.sendall(b"".join(frame(struct.pack("!H", i - start) + wires[i][2:]) for i in batch))
                for _ in batch:
                    message = receive_message(s)
                    if message is None:
                        break
                    replies[start + struct.unpack("!H", message[:2])[0]] = message[2:]
    return replies


class Load:
    """Asks one question over and over from a thread and remembers what came back and when."""

    def __init__(self, server, wire, interval=0.0, timeout=3.0):
        import threading

        self.server, self.wire, self.interval, self.timeout = server, wire, interval, timeout
        self.replies = []  # (when, seconds it took, octets or None)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        number = 0
        s = udp_socket(self.server)
        s.settimeout(self.timeout)
        while not self._end.is_set():
            number = (number + 1) % 65536
            start = time.monotonic()
            reply = None
            try:
                s.send(struct.pack("!H", number) + self.wire[2:])
                while True:
                    reply = s.recv(65535)
                    if struct.unpack("!H", reply[:2])[0] == number:
                        break
            except (socket.timeout, ConnectionRefusedError):
                reply = None
            self.replies.append((start, time.monotonic() - start, reply))
            if self.interval:
                time.sleep(self.interval)
        s.close()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def lost(self):
        return [r for r in self.replies if r[2] is None]
