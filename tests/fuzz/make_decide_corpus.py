#!/usr/bin/python3
"""Writes the seeds of tests/fuzz/corpus/decide and /table. The same files in every run; inputs that a fuzzer found stand
beside them, named by their hash. Their forms: decide_fuzz.cc and table_fuzz.cc."""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
A, SOA, MX, TXT, AAAA, SVCB, HTTPS, IXFR, AXFR, ANY = 1, 6, 15, 16, 28, 64, 65, 251, 252, 255


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def opt(version=0, size=1232, options=b"", rcode=0):
    return b"\0" + struct.pack(">HHBBHH", 41, size, rcode, version, 0x8000, len(options)) + options


def message(owner="wWw.Example", rdtype=A, rdclass=1, flags=0x0100, questions=1, answers=(), extra=()):
    head = struct.pack(">6H", 0x1234, flags, questions, len(answers), 0, len(extra))
    return head + name(owner) + struct.pack(">HH", rdtype, rdclass) + b"".join(answers) + b"".join(extra)


def reply(rcode=0, **options):
    return message(flags=0x8180 | rcode, **options)


ADDRESS = b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 60, 4) + bytes([192, 0, 2, 1])


def decide_seeds():
    plain = message()
    for control in (0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 20, 31):
        yield f"control-{control}", control, plain, reply(3)
        yield f"control-{control}-any-edns", control, message(rdtype=ANY, extra=[opt(size=512)]), reply(0)
    for rdtype in (A, SOA, MX, AAAA, SVCB, HTTPS, IXFR, AXFR, ANY):
        yield f"type-{rdtype}", 1, message(rdtype=rdtype), reply(3, rdtype=rdtype)
        yield f"type-{rdtype}-elsewhere", 1, message("other.example", rdtype), b""
    for owner in ("_https.www.example", "_8443._https.www.example", "_a._b._c.www.example", "_https.open.example",
                  "_https._x.example", "_x.example", "_"):
        yield f"service-{owner}", 1, message(owner, HTTPS), b""
    yield "class-chaos", 1, message("www.example", TXT, 3), b""
    yield "opcode-update", 1, message(flags=5 << 11), b""
    yield "questions-2", 1, message(questions=2), b""
    yield "is-a-reply", 1, reply(), b""
    yield "edns-1", 1, message(extra=[opt(1)]), reply(0, extra=[opt(rcode=1)])
    yield "edns-twice", 1, message(extra=[opt(), opt()]), b""
    yield "edns-bad-option", 1, message(extra=[opt(options=b"\0\x0a\0\xff")]), b""
    yield "edns-cookie", 1, message(extra=[opt(options=b"\0\x0a\0\x08cookie!!")]), b""
    yield "long", 3, message(".".join(["l" * 63] * 3 + ["m" * 61]), ANY, extra=[opt()]), b""
    yield "finish-nxdomain-cname", 1, message(), reply(3, answers=[ADDRESS])
    yield "finish-answer", 1, message(), reply(0, answers=[ADDRESS])
    yield "finish-badmode", 1, message(extra=[opt()]), reply(3, extra=[opt(rcode=1)])
    yield "finish-truncated", 1, message(), message(flags=0x8380)


def table_seeds():
    for number in range(16):
        yield f"whole-{number}", bytes([number, 0, 0])
    yield "cut-1", bytes([7, 0, 1])
    yield "cut-most", bytes([7, 9, 0])
    # The header's fields, each made huge.
    for offset, size in ((8, 4), (12, 4), (16, 8), (40, 4), (44, 4), (48, 8), (56, 8), (64, 8), (72, 8), (80, 8), (88, 4)):
        yield f"huge-{offset}", bytes([7, 0, 0]) + struct.pack(">HB", offset, size) + b"\xff" * size
        yield f"one-{offset}", bytes([7, 0, 0]) + struct.pack(">HB", offset, 1) + b"\x01"
    for offset in (256, 264, 1088, 1152, 1216, 1224, 1232, 1240, 1280, 1344):
        yield f"slot-{offset}", bytes([7, 0, 0]) + struct.pack(">HB", offset, 8) + b"\xa5" * 8
    yield "raw-empty", b"\xff"
    yield "raw-header", b"\xff" + bytes(1088)
    header = struct.pack("<QIIQQQIIQQQQQII", 0, 1, 1, 1728, 1, 1, 8, 8, 1088, 1088, 1152, 1600, 64, 0, 0)
    yield "raw-small", b"\xff" + (header.ljust(1600, b"\0") + name("www.example")).ljust(1728, b"\0")


def main():
    for folder, seeds in (("decide", decide_seeds()), ("table", table_seeds())):
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            if folder == "decide":
                title, control, packet, answer = seed
                content = bytes([control]) + struct.pack(">H", len(packet)) + packet + answer
            else:
                title, content = seed
            (CORPUS / folder / title).write_bytes(content)


if __name__ == "__main__":
    main()
