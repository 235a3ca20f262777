#!/usr/bin/python3
"""Writes the seeds of tests/fuzz/corpus/query and /reply: one well-formed message of each kind, and the classic wrong
ones. The same files in every run. Inputs that a fuzzer found stand beside them, named by their hash; this leaves them.

Needs dnspython (Debian: python3-dnspython)."""

import pathlib
import struct

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
LONG = ".".join(["l" * 63] * 3 + ["m" * 61]) + "."


def make_query(name="wWw.Example.", rdtype="A", rdclass="IN", **options):
    message = dns.message.make_query(name, rdtype, rdclass, **options)
    message.id = 0x1234
    return message


def header(questions=1, answers=0, authorities=0, additional=0, flags=0x0100):
    return struct.pack(">6H", 0x1234, flags, questions, answers, authorities, additional)


QUESTION = b"\x03wWw\x07Example\x00\x00\x01\x00\x01"
OPT = b"\x00" + struct.pack(">HHIH", 41, 1232, 0, 0)


def queries():
    for rdtype in ("A", "AAAA", "ANY", "HTTPS", "MX", "NS", "SOA", "SRV", "TXT", "AXFR"):
        yield "type-" + rdtype.lower(), make_query(rdtype=rdtype).to_wire()
    yield "type-65280", make_query(rdtype="TYPE65280").to_wire()
    yield "class-ch", make_query("version.bind.", "TXT", "CH").to_wire()
    yield "root", make_query(".", "NS").to_wire()
    yield "name-255", make_query(LONG).to_wire()
    yield "name-127-labels", make_query("a." * 127).to_wire()
    yield "name-octets", make_query(dns.name.Name([bytes(range(33)), bytes(range(223, 256)), b""])).to_wire()
    yield "service-name", make_query("_443._https.www.example.", "HTTPS").to_wire()
    for flags in ("AD", "CD", "RA", "AA", "TC"):
        message = make_query()
        message.flags |= dns.flags.from_text(flags)
        yield "flag-" + flags.lower(), message.to_wire()
    for opcode in (dns.opcode.IQUERY, dns.opcode.STATUS, dns.opcode.NOTIFY):
        message = make_query()
        message.set_opcode(opcode)
        yield "opcode-" + dns.opcode.to_text(opcode).lower(), message.to_wire()
    update = dns.update.UpdateMessage("example.")
    update.id = 0x1234
    update.add("www", 300, "A", "192.0.2.1")
    yield "opcode-update", update.to_wire()
    yield "edns", make_query(use_edns=0, payload=1232).to_wire()
    yield "edns-do-4096", make_query(use_edns=0, payload=4096, want_dnssec=True).to_wire()
    yield "edns-size-0", make_query(use_edns=0, payload=0).to_wire()
    yield "edns-version-1", make_query(use_edns=1, payload=1232).to_wire()
    yield "edns-flags", make_query(use_edns=0, ednsflags=0xFFFF & ~0, payload=700).to_wire()
    options = [
        dns.edns.GenericOption(10, b"12345678"),
        dns.edns.ECSOption("192.0.2.0", 24),
        dns.edns.GenericOption(12, bytes(40)),
        dns.edns.GenericOption(65001, b""),
    ]
    yield "edns-options", make_query(use_edns=0, options=options, payload=1400).to_wire()
    yield "edns-name-255", make_query(LONG, use_edns=0, payload=512).to_wire()
    # By hand: dnspython would sign with the time of the day.
    mac = b"\x0bhmac-sha256\0" + struct.pack(">HIHH", 0, 0, 300, 32) + bytes(32) + struct.pack(">HHH", 0x1234, 0, 0)
    tsig = b"\x03key\0" + struct.pack(">HHIH", 250, 255, 0, len(mac)) + mac
    yield "tsig", header(1, 0, 0, 2) + QUESTION + OPT + tsig
    ixfr = make_query("example.", "IXFR")
    ixfr.authority.append(dns.rrset.from_text("example.", 1, "IN", "SOA", ". . 1 2 3 4 5"))
    yield "ixfr", ixfr.to_wire()
    reply = dns.message.make_response(make_query())
    yield "bad-is-a-reply", reply.to_wire()
    yield "bad-empty", b""
    yield "bad-header-11", header()[:11]
    yield "bad-header-only", header()
    yield "bad-no-question", header(0)
    yield "bad-no-question-opt", header(0, 0, 0, 1) + OPT
    yield "bad-two-questions-opt", header(2, 0, 0, 1) + QUESTION * 2 + OPT
    yield "bad-question-cut", header() + QUESTION[:-1]
    yield "bad-pointer-in-question", header() + b"\x01a\xc0\x0c\x00\x01\x00\x01"
    yield "bad-label-type", header() + b"\x41a\x00\x00\x01\x00\x01"
    yield "bad-name-256", header() + (b"\x3f" + b"l" * 63) * 3 + b"\x3e" + b"m" * 62 + b"\x00\x00\x01\x00\x01"
    yield "bad-two-opt", header(1, 0, 0, 2) + QUESTION + OPT * 2
    yield "bad-opt-owner", header(1, 0, 0, 1) + QUESTION + b"\x01x" + OPT
    yield "bad-opt-pointer-owner", header(1, 0, 0, 1) + QUESTION + b"\xc0\x18" + OPT[1:]
    yield "bad-opt-in-answer", header(1, 1) + QUESTION + OPT
    yield "bad-opt-options", header(1, 0, 0, 1) + QUESTION + OPT[:-2] + b"\x00\x05\x00\x0a\x00\x09x"
    yield "bad-opt-cut", header(1, 0, 0, 1) + QUESTION + OPT[:-1]
    yield "bad-opt-missing", header(1, 0, 0, 1) + QUESTION
    yield "bad-counts", header(1, 0xFFFF, 0xFFFF, 0xFFFF) + QUESTION + OPT
    yield "trailing-octets", header(1, 0, 0, 1) + QUESTION + OPT + b"trailing"
    yield "opt-not-last", header(1, 0, 0, 2) + QUESTION + OPT + b"\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04abcd"


def make_reply(*records, name="www.example.", rdtype="A", rcode=0, authority=(), edns=None):
    reply = dns.message.make_response(make_query(name, rdtype, use_edns=edns))
    reply.set_rcode(rcode)
    for section, texts in ((reply.answer, records), (reply.authority, authority)):
        for text in texts:
            owner, ttl, kind, data = text.split(" ", 3)
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, data))
    return reply.to_wire()


def raw_reply(body, answers=1, authorities=0, additional=0):
    question = b"\x03www\x07example\x00\x00\x01\x00\x01"
    return header(1, answers, authorities, additional, 0x8180) + question + body


def replies():
    soa = "example. 60 SOA ns.example. host.example. 1 2 3 4 20"
    yield "a", make_reply("www.example. 30 A 192.0.2.1")
    yield "a-edns", make_reply("www.example. 30 A 192.0.2.1", edns=0)
    yield "aaaa", make_reply("www.example. 30 AAAA 2001:db8::1", rdtype="AAAA")
    yield "a-several", make_reply(*(f"www.example. {i + 5} A 192.0.2.{i % 12}" for i in range(16)))
    yield "cname", make_reply("www.example. 30 CNAME w.example.net.", "w.example.net. 20 A 192.0.2.1")
    yield "cname-reversed", make_reply("w.example.net. 20 A 192.0.2.1", "www.example. 30 CNAME W.example.NET.")
    yield "cname-alone", make_reply("www.example. 30 CNAME w.example.net.", authority=[soa])
    yield "cname-self", make_reply("www.example. 30 CNAME www.example.")
    yield "cname-loop", make_reply("www.example. 30 CNAME x.", "x. 30 CNAME www.example.")
    for n in (16, 17):
        chain = ["www.example."] + [f"n{i}.example." for i in range(n)]
        records = [f"{a} 30 CNAME {b}" for a, b in zip(chain, chain[1:])] + [f"{chain[-1]} 9 A 192.0.2.1"]
        yield f"cname-chain-{n}", make_reply(*records)
    yield "dname", make_reply(
        "example. 30 DNAME example.net.", "www.example. 30 CNAME www.example.net.", "www.example.net. 9 A 192.0.2.1"
    )
    yield "nodata", make_reply(authority=[soa])
    yield "nodata-bare", make_reply()
    yield "nxdomain", make_reply(rcode=3, authority=[soa])
    yield "nxdomain-cname", make_reply("www.example. 30 CNAME x.", rcode=3, authority=[soa])
    yield "nxdomain-a", make_reply("www.example. 30 A 192.0.2.1", rcode=3)
    yield "referral", make_reply(authority=["example. 60 NS ns.example."])
    yield "servfail", make_reply(rcode=2)
    yield "refused", make_reply(rcode=5)
    yield "formerr-header", header(0, flags=0x8181)
    yield "notimp-header", header(0, flags=0x8184)
    yield "update-reply", header(0, flags=0xA800)
    yield "truncated", make_reply("www.example. 30 A 192.0.2.1")[:2] + b"\x83\x80" + make_reply()[4:]
    yield "name-255", make_reply(LONG + " 30 A 192.0.2.1", name=LONG)
    a = struct.pack(">HHIH", 1, 1, 30, 4) + b"\xc0\x00\x02\x01"
    yield "pointer-self", raw_reply(b"\xc0\x1d" + a)
    yield "pointer-forward", raw_reply(b"\xc0\x2d" + a)
    yield "pointer-chain", raw_reply(b"\xc0\x0c" + a + b"\xc0\x1d" + a + b"\xc0\x2d" + a, 3)
    yield "pointer-cut", raw_reply(b"\xc0")
    yield "ttl-sign-bit", raw_reply(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0x80000000, 4) + b"\xc0\x00\x02\x01")
    yield "a-of-3", raw_reply(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 30, 3) + b"\xc0\x00\x02")
    yield "cname-overlong", raw_reply(b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 30, 4) + b"\x01x\x00\x00")
    yield "cname-cut", raw_reply(b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 30, 2) + b"\x01x\x00")
    yield "class-ch", raw_reply(b"\xc0\x0c" + struct.pack(">HHIH", 1, 3, 30, 4) + b"\xc0\x00\x02\x01")
    yield "soa-cut", raw_reply(b"\x00" + struct.pack(">HHIH", 6, 1, 30, 3) + b"\0\0\0", 0, 1)
    yield "counts", raw_reply(b"\xc0\x0c" + a, 0xFFFF, 0xFFFF, 0xFFFF)
    yield "two-questions", header(2, 0, 0, 0, 0x8180) + QUESTION * 2
    yield "label-type", raw_reply(b"\x80a\x00" + a)


def main():
    for folder, messages in (("query", queries()), ("reply", replies())):
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
        for name, octets in messages:
            (CORPUS / folder / name).write_bytes(octets)


if __name__ == "__main__":
    main()
