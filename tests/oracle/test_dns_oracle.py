"""src/dns against dnspython: thousands of random messages, the same in every run; both must understand the same.

HAR_DNS_ORACLE names the program (tests/oracle/dns_oracle.cc) that speaks for our side."""

import io
import ipaddress
import os
import random
import struct
import subprocess

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

SEED = 20110815
dns.message.MAX_CHAIN = 17  # it refuses a chain of this length; ours follows 16 CNAMEs
LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
# Types whose text form is easily made; queries ask for any number.
RECORDS = {
    "A": lambda r: f"192.0.2.{r.randrange(256)}",
    "AAAA": lambda r: f"2001:db8::{r.randrange(65536):x}",
    "NS": lambda r: "ns.example.net.",
    "MX": lambda r: f"{r.randrange(65536)} mail.example.net.",
    "TXT": lambda r: '"' + "t" * r.randrange(200) + '"',
    "SRV": lambda r: f"1 2 {r.randrange(65536)} srv.example.net.",
    "CAA": lambda r: '0 issue "ca.example.net"',
    "HTTPS": lambda r: "1 . alpn=h2 ipv4hint=192.0.2.1",
    "DS": lambda r: "12345 8 2 " + "ab" * 32,
    "TYPE65280": lambda r: "\\# 3 010203",
}


def ask(lines):
    """Our side's answers, one a line."""
    program = os.environ["HAR_DNS_ORACLE"]
    done = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-4000:]
    answers = done.stdout.split("\n")[:-1]
    assert len(answers) == len(lines)
    return answers


def fields(line):
    return dict(pair.split("=", 1) for pair in line.split(" "))


def hexed(octets):
    return octets.hex() or "-"


def random_label(r):
    size = r.choice((1, 2, 3, 5, 8, 15, 40, 63))
    octets = range(256) if r.random() < 0.15 else LETTERS
    return bytes(r.choice(octets) for _ in range(size))


def random_name(r):
    """Anything between the root and 255 octets."""
    name = dns.name.root
    for _ in range(r.choice((0, 1, 2, 2, 3, 3, 3, 4, 6, 12, 126))):
        try:
            name = dns.name.Name((random_label(r) if r.random() < 0.9 else b"x",) + name.labels)
        except dns.name.NameTooLong:
            break
    return name


def mix_case(r, name):
    return dns.name.Name(
        bytes(c ^ 0x20 if chr(c).isascii() and chr(c).isalpha() and r.random() < 0.5 else c for c in label)
        for label in name.labels
    )


def record_octets(r):
    rdtype = r.choice(list(RECORDS))
    rrset = dns.rrset.from_text(random_name(r), r.randrange(2**31), "IN", rdtype, RECORDS[rdtype](r))
    out = io.BytesIO()
    rrset.to_wire(out)
    return out.getvalue()


def random_options(r):
    options = b""
    for _ in range(r.choice((0, 0, 1, 2, 5))):
        if r.random() < 0.2:
            option = dns.edns.ECSOption("192.0.2.0", 24)
            data, code = option.to_wire(), 8
        else:
            code = r.choice((3, 9, 10, 11, 12, 14, 65001, 65535))
            data = bytes(r.randrange(256) for _ in range(r.choice((0, 1, 8, 24, 300))))
            if code == 10:
                data = bytes(r.randrange(256) for _ in range(r.choice((8, 16, 24, 40))))  # another size is no cookie
            elif code == 11:
                data = data[:2] if len(data) >= 2 else b""
        options += struct.pack(">HH", code, len(data)) + data
    return options


def opt_octets(r, owner=b"\0"):
    version = 0 if r.random() < 0.85 else r.randrange(1, 256)
    ttl = r.choice((0, 0, 7)) << 24 | version << 16 | r.choice((0, 0x8000, 0x7FFF, 0xFFFF))
    options = random_options(r)
    size = r.choice((0, 511, 512, 1232, 1400, 4096, 65535))
    return owner + struct.pack(">HHIH", 41, size, ttl, len(options)) + options


def random_query(r):
    """A packet put together by hand, so that OPT may stand in every place; mostly right."""
    questions = r.choice((1,) * 12 + (0, 2))
    body = b""
    for _ in range(questions):
        rdtype = r.choice((1, 28, 255, 65, 64, 252, 251, 2, 6, 15, 16, 33, 41, r.randrange(65536)))
        rdclass = r.choice((1, 1, 1, 3, 255, r.randrange(65536)))
        body += random_name(r).to_wire() + struct.pack(">HH", rdtype, rdclass)
    sections = [[record_octets(r) for _ in range(r.choice((0,) * 6 + (1, 2)))] for _ in range(3)]
    opts = r.choice((0, 1, 1, 1, 1, 1, 1, 2))
    for _ in range(opts):
        owner = b"\0" if r.random() < 0.95 else b"\x01x\0"
        section = sections[2] if r.random() < 0.95 else r.choice(sections)
        section.insert(r.randrange(len(section) + 1), opt_octets(r, owner))
    opcode = 0 if r.random() < 0.95 else r.randrange(16)
    flags = opcode << 11 | r.choice((0x0100, 0x0120, 0x0110, r.randrange(65536) & 0x07F0)) | (r.random() < 0.03) << 15
    packet = struct.pack(">6H", r.randrange(65536), flags, questions, *(len(s) for s in sections))
    packet += body + b"".join(b"".join(s) for s in sections)
    if r.random() < 0.05:
        packet += bytes(r.randrange(256) for _ in range(r.randrange(1, 20)))
    return packet


def expected_query(packet, whole=True):
    """What dnspython and the contract (src/dns/query.h) say of a packet; only the fields that are laid down."""
    if len(packet) < 12 or packet[2] & 0x80:
        return {"status": "no_query"}
    ident, flags, questions = struct.unpack(">3H", packet[:6])
    want = {"id": str(ident), "flags": str(flags), "opcode": str(flags >> 11 & 15)}
    if flags >> 11 & 15:
        return want | {"status": "other_opcode", "edns": "0"}
    if questions != 1:
        return want | {"status": "bad_question", "name": "-", "question": "-"}
    try:
        question = dns.message.from_wire(packet, question_only=True).question[0]
    except (dns.exception.DNSException, struct.error):
        return want | {"status": "bad_question", "name": "-", "question": "-"}
    name = question.name.to_wire()
    want |= {
        "status": "ok",
        "name": name.hex(),
        "question": packet[12 : 12 + len(name) + 4].hex(),
        "type": str(int(question.rdtype)),
        "class": str(int(question.rdclass)),
    }
    try:
        message = dns.message.from_wire(packet, ignore_trailing=True)
    except dns.message.BadEDNS:
        # In a packet cut short this may be about an OPT that cannot be read whole; then it is not there for us.
        return want | {"malformed": "1"} | ({"edns": "1"} if whole else {})
    except (dns.exception.DNSException, struct.error):
        return want | {"malformed": "1"}
    want |= {"malformed": "0", "edns": str(int(message.edns >= 0))}
    if message.edns >= 0:
        want |= {
            "version": str(message.edns),
            "do": str(int(bool(message.ednsflags & dns.flags.DO))),
            "size": str(message.payload),
        }
    return want


def expected_cookie(packet):
    """What goes back for the packet's COOKIE (src/dns/cookie.h)."""
    message = dns.message.from_wire(packet, ignore_trailing=True)
    cookies = [option.to_wire() for option in message.options if option.otype == 10] if message.edns == 0 else []
    if not cookies:
        return b""
    return cookies[0] + (b"har\0\0\0\0\0" if len(cookies[0]) == 8 else b"")


def test_queries_are_understood_alike():
    r = random.Random(SEED)
    cases = []
    for _ in range(5000):
        packet = random_query(r)
        whole = r.random() < 0.9
        cases.append((packet if whole else packet[: r.randrange(len(packet))], whole))
    seen = {}
    for (packet, whole), line in zip(cases, ask(["query " + hexed(p) for p, _ in cases])):
        got = fields(line)
        want = expected_query(packet, whole)
        assert {key: got[key] for key in want} == want, packet.hex()
        key = (got["status"], got["edns"], got["malformed"])
        seen[key] = seen.get(key, 0) + 1
    # The generator must go on reaching every kind of packet.
    for key in (("ok", "0", "0"), ("ok", "1", "0"), ("ok", "1", "1"), ("ok", "0", "1")):
        assert seen.get(key, 0) > 50, (key, seen)
    assert {status for status, _, _ in seen} == {"ok", "no_query", "other_opcode", "bad_question"}


def random_reply(r):
    """A reply to an A or AAAA query: a CNAME chain in random order among strangers, compressed."""
    rdtype = r.choice(("A", "AAAA"))
    names = [random_name(r)]
    length = r.choice((0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 5, 15, 16, 17))
    base = dns.name.from_text("Chain.Example.net")
    while len(names) <= length:
        names.append(dns.name.Name((b"n%d" % len(names),) + base.labels))
    if length and r.random() < 0.1:
        names[-1] = r.choice(names[:-1])  # a loop
    query = dns.message.make_query(names[0], rdtype, use_edns=r.choice((None, 0)))
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    ttl = lambda: r.choice((0, 1, 30, 300, 86400, 2**31 - 1))
    records = [
        dns.rrset.from_text(mix_case(r, owner), ttl(), "IN", "CNAME", mix_case(r, target).to_text())
        for owner, target in zip(names, names[1:])
    ]
    rcode = r.choice((0,) * 12 + (3, 3, 3, 1, 2, 5))
    addresses = 0 if rcode == 3 and r.random() < 0.8 else r.choice((0, 0, 1, 1, 1, 2, 8, 70))
    for _ in range(addresses):
        records.append(dns.rrset.from_text(mix_case(r, names[-1]), ttl(), "IN", rdtype, RECORDS[rdtype](r)))
    for _ in range(r.choice((0, 0, 1, 4))):  # strangers
        owner = r.choice((random_name(r), names[-1], names[0]))
        kind = r.choice([k for k in RECORDS if k != rdtype])
        records.append(dns.rrset.from_text(owner, ttl(), "IN", kind, RECORDS[kind](r)))
    for _ in range(r.choice((0, 0, 0, 1))):
        records.append(dns.rrset.from_text(random_name(r), ttl(), "IN", rdtype, RECORDS[rdtype](r)))
    r.shuffle(records)
    reply.answer = records
    if r.random() < 0.4:
        owner = names[-1]
        for _ in range(r.randrange(len(owner.labels))):
            owner = owner.parent()
        data = f"ns.example. host.example. 1 2 3 4 {r.choice((0, 5, 3600))}"
        reply.authority.append(dns.rrset.from_text(owner, r.choice((0, 7, 600)), "IN", "SOA", data))
    if r.random() < 0.3:
        reply.authority.append(dns.rrset.from_text("example.", 60, "IN", "NS", "ns.example."))
    if r.random() < 0.3:
        reply.additional.append(dns.rrset.from_text("ns.example.", 60, "IN", "A", "192.0.2.53"))
    reply.set_rcode(rcode)
    if r.random() < 0.03:
        reply.flags |= dns.flags.TC
    return rdtype, reply.to_wire(max_size=65535)


def sign_bits(r, packet):
    """Sets the top bit of some TTLs in place: RFC 2181 8 makes them 0."""
    octets = bytearray(packet)
    message_end = len(octets)
    counts = struct.unpack(">4H", packet[4:12])

    def skip(at):
        while octets[at]:
            if octets[at] >= 0xC0:
                return at + 2
            at += 1 + octets[at]
        return at + 1

    at = 12
    for _ in range(counts[0]):
        at = skip(at) + 4
    for _ in range(sum(counts[1:])):
        at = skip(at)
        if octets[at : at + 2] != b"\0\x29" and r.random() < 0.1:
            octets[at + 4] |= 0x80
        at += 10 + struct.unpack(">H", octets[at + 8 : at + 10])[0]
    assert at == message_end
    return bytes(octets)


def expected_reply(rdtype, packet):
    failed = {"status": "failed", "ttl": "0", "addresses": ""}
    try:
        message = dns.message.from_wire(packet, ignore_trailing=True)
        if message.flags & dns.flags.TC or message.rcode() not in (0, 3):
            return failed
        result = message.resolve_chaining()
    except (dns.exception.DNSException, struct.error):
        return failed
    if result.answer is not None:
        found = [ipaddress.ip_address(rd.address) for rd in result.answer]
        addresses = [str(address) for address in found if address in sorted(found)[:64]]
        return {"status": "found", "ttl": str(result.minimum_ttl), "addresses": "".join(a + "," for a in addresses)}
    kinds = {rrset.rdtype for rrset in message.authority}
    soa = dns.rdatatype.SOA in kinds
    if message.rcode() == 0 and dns.rdatatype.NS in kinds and not soa:
        return failed  # a referral
    return {
        "status": "nxdomain" if message.rcode() == 3 else "nodata",
        "ttl": str(result.minimum_ttl if soa else 0),
        "addresses": "",
    }


def test_replies_are_understood_alike():
    r = random.Random(SEED + 1)
    cases = []
    for _ in range(4000):
        rdtype, packet = random_reply(r)
        if r.random() < 0.3:
            packet = sign_bits(r, packet)
        if r.random() < 0.07:
            packet = packet[: r.randrange(len(packet) + 1)]
        if r.random() < 0.03:
            packet += b"trailing"
        cases.append((rdtype, packet))
    seen = {}
    for (rdtype, packet), line in zip(cases, ask([f"reply {t} {hexed(p)}" for t, p in cases])):
        got = fields(line)
        assert got == expected_reply(rdtype, packet), packet.hex()
        seen[got["status"]] = seen.get(got["status"], 0) + 1
    assert set(seen) == {"found", "nodata", "nxdomain", "failed"} and min(seen.values()) > 100, seen


def test_a_reply_belongs_to_a_query_alike():
    r = random.Random(SEED + 2)
    cases = []
    for _ in range(3000):
        opcode = 0 if r.random() < 0.8 else r.choice((1, 2, 4))
        query = dns.message.make_query(random_name(r), r.randrange(1, 250), r.choice((1, 3)))
        query.set_opcode(opcode)
        reply = dns.message.make_response(query)
        reply.set_rcode(r.choice((0, 0, 1, 2, 3, 4, 5)))
        question = query.question[0]
        change = r.choice(("no", "no", "case", "name", "type", "class", "id", "opcode", "qr", "none", "two", "record"))
        name, rdclass, rdtype = question.name, question.rdclass, question.rdtype
        if change == "case":
            name = mix_case(r, name)
        elif change == "name":
            name = random_name(r)
        elif change == "type":
            rdtype = r.randrange(1, 250)
        elif change == "class":
            rdclass = r.choice((1, 3, 255))
        elif change == "id":
            reply.id = r.randrange(65536)
        elif change == "opcode":
            reply.set_opcode(r.choice((0, 1, 2, 4)))
        elif change == "qr":
            reply.flags &= ~dns.flags.QR
        reply.question = [dns.rrset.RRset(name, rdclass, rdtype)]
        if change == "none" or (change == "record" and r.random() < 0.5):
            reply.question = []
        if change == "two":
            reply.question.append(dns.rrset.RRset(dns.name.from_text("two."), 1, 1))
        if change == "record":
            reply.answer.append(dns.rrset.from_text("x.", 1, "IN", "A", "192.0.2.1"))
        want = query.is_response(reply)
        if not reply.question and query.id == reply.id and query.opcode() == reply.opcode():
            # Stricter than dnspython for QUERY, looser for the rest: match.h says why.
            want = opcode != 0 or (reply.rcode() in (1, 2, 4, 5) and not reply.answer)
        cases.append((query.to_wire(), reply.to_wire(), want))
    answers = ask([f"match {q.hex()} {p.hex()}" for q, p, _ in cases])
    for (query, reply, want), got in zip(cases, answers):
        assert got == str(int(want)), (query.hex(), reply.hex())
    assert 500 < answers.count("1") < 2500


def test_our_replies_are_read_by_dnspython():
    r = random.Random(SEED + 3)
    cases = []
    while len(cases) < 2500:
        packet = random_query(r)
        want = expected_query(packet)
        if want["status"] != "ok" or want["malformed"] == "1":
            continue
        rcode = r.choice((0, 0, 0, 2, 16)) if want["edns"] == "1" else r.choice((0, 0, 0, 2))
        v4, v6 = (r.choice((0, 1, 8, 30)), r.choice((0, 0, 1, 8, 30))) if rcode == 0 else (0, 0)
        soa = int(rcode == 0 and not v4 and not v6)
        ede = r.choice((-1, 0, 3, 14, 22))
        text = r.choice(("", "no candidate is up", "t" * 600))
        cases.append((packet, want, r.choice(("UDP", "TCP")), rcode, v4, v6, soa, ede, text))
    lines = [
        f"answer {packet.hex()} {transport} {rcode} {v4} {v6} {soa} {ede} {hexed(text.encode())}"
        for packet, _, transport, rcode, v4, v6, soa, ede, text in cases
    ]
    truncated = cookies = 0
    for (packet, want, transport, rcode, v4, v6, soa, ede, text), line in zip(cases, ask(lines)):
        wire = bytes.fromhex(line)
        limit = 65535 if transport == "TCP" else max(512, min(1232, int(want.get("size", 512))))
        assert len(wire) <= limit
        reply = dns.message.from_wire(wire)  # no trailing octets either
        cookie = expected_cookie(packet)
        cookie_option = bytes(4) + cookie if cookie else b""
        flags = int(want["flags"])
        aa = dns.flags.AA if rcode == 0 else 0
        tc = reply.flags & dns.flags.TC
        assert reply.id == int(want["id"])
        assert int(reply.flags) & ~15 == dns.flags.QR | dns.flags.RA | aa | tc | flags & (dns.flags.RD | dns.flags.CD)
        assert reply.rcode() == rcode
        question = bytes.fromhex(want["question"])
        assert wire[12 : 12 + len(question)] == question
        name = reply.question[0].name
        records = [(rrset.name, rrset.rdtype, rd.address) for rrset in reply.answer for rd in rrset]
        everything = [(name, 1, f"192.0.2.{i}") for i in range(1, v4 + 1)]
        everything += [(name, 28, f"2001:db8::{i:x}") for i in range(1, v6 + 1)]
        assert records == everything[: len(records)]
        for rrset in reply.answer:
            assert rrset.rdclass == 1 and rrset.ttl == 1
        assert bool(tc) == (len(records) < len(everything))
        if tc:
            truncated += 1
            opt = 11 + len(cookie_option) if want["edns"] == "1" else 0
            following = 16 if everything[len(records)][1] == 1 else 28
            body = 12 + len(question) + sum(16 if kind == 1 else 28 for _, kind, _ in records)
            assert body + following + opt > limit  # no record was left out that had room
        assert len(reply.authority) == soa
        if soa:
            rrset = reply.authority[0]
            assert (rrset.name, rrset.rdtype, rrset.ttl, rrset[0].minimum) == (name, 6, 1, 1)
            assert rrset[0].mname == name
            assert rrset[0].rname.is_subdomain(name)
        assert not reply.additional
        assert (reply.edns >= 0) == (want["edns"] == "1")
        if reply.edns >= 0:
            assert reply.edns == 0 and reply.payload == 1232
            assert reply.ednsflags & 0xFFFF == (dns.flags.DO if want["do"] == "1" else 0)
            left = limit - (len(wire) - sum(4 + len(o.to_wire()) for o in reply.options)) - len(cookie_option)
            options = list(reply.options)
            if cookie:
                cookies += 1
                assert options.pop(0).to_wire() == cookie
            if ede < 0 or left < 6:
                assert not options
            else:
                shown = text if 6 + len(text) <= left else ""
                (option,) = options
                assert (option.otype, int(option.code), option.text or "") == (15, ede, shown)
    assert truncated > 100 and cookies > 100


def test_names_are_read_and_written_alike():
    r = random.Random(SEED + 4)
    names = [random_name(r) for _ in range(2000)]
    for name, text in zip(names, ask(["text " + n.to_wire().hex() for n in names])):
        assert dns.name.from_text(text) == name
        assert dns.name.from_text(text).to_wire() == name.to_wire()
    # The other way: dnspython escapes what a zone file needs escaped; some of the rest is an error here unless escaped.
    plain = [n for n in names if all(c in LETTERS for label in n.labels for c in label)]
    assert len(plain) > 500
    texts = [n.to_text(omit_final_dot=r.random() < 0.5 and n != dns.name.root) for n in plain]
    for name, wire in zip(plain, ask(["wire " + t for t in texts])):
        assert bytes.fromhex(wire) == name.canonicalize().to_wire()
    escaped = [".".join("".join(f"\\{c:03}" for c in label) for label in n.labels) or "." for n in names]
    for name, wire in zip(names, ask(["wire " + t for t in escaped])):
        assert bytes.fromhex(wire) == name.canonicalize().to_wire()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
