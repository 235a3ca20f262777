"""The tree's rules as functions: each takes the folder `src` and yields what breaks the rule, one line each."""
import pathlib
import re

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)

# What a pure folder may include of the standard library: values and algorithms, nothing that has a thread, a clock's hands,
# a file or a stream. (<chrono> gives types of time; that nobody asks a clock is PURE_WORDS' business.)
PURE_STANDARD = set("""
    algorithm any array bit bitset cctype cerrno charconv chrono cinttypes climits cmath compare complex concepts cstddef cstdint
    cstdio cstdlib cstring deque exception expected functional initializer_list iomanip istream iterator limits list map memory
    memory_resource new numbers numeric optional ostream queue random ranges ratio regex set source_location span sstream stack
    stdexcept string string_view tuple type_traits typeinfo unordered_map unordered_set utility valarray variant vector version
""".split())
PURE_LIBRARIES = ("fmt/", "tl/expected.hpp")
PURE_EXTRA = {"table": {"atomic"}}
PURE_WORDS = re.compile(r"\b(?:steady_clock|system_clock|high_resolution_clock)\s*::\s*now\b|\bstd::random_device\b"
                        r"|\bstd::(?:thread|jthread|mutex|async)\b|\bfopen\s*\(")

# Which folder alone names a C library, by its headers and by its words.
LIBRARIES = {
    "net": ("libevent", re.compile(r"^event2?(?:/|\.h$)|^ev(?:ent|util|http|dns|buffer)[a-z_]*\.h$"),
            re.compile(r"\b(?:event_(?:new|add|del|free|base_\w+)|evutil_\w+|bufferevent_\w+|evbuffer_\w+)\b")),
    "probe": ("OpenSSL", re.compile(r"^openssl/"), re.compile(r"\bSSL_\w+\b")),
    "store": ("sqlite", re.compile(r"^(?:sqlite3\.h|SQLiteCpp/)"), re.compile(r"\b(?:sqlite3_\w+|SQLite::)")),
}

# The two files with a lock (STYLE): everything else belongs to one thread.
LOCK_FILES = {"net/mailbox.h", "store/desk.h"}
LOCK_HEADERS = {"mutex", "shared_mutex", "condition_variable", "semaphore"}

VAGUE_FOLDERS = {"util", "utils", "common", "misc", "helpers", "helper", "shared", "lib"}
SOURCE_LINES, HEADER_LINES = 400, 150


def layers(src):
    """{folder: (floor, is pure)} from src/LAYERS."""
    out = {}
    for line in (src / "LAYERS").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            assert len(words) in (2, 3) and words[2:] in ([], ["pure"]), f"LAYERS: cannot read {line!r}"
            assert words[0] not in out, f"LAYERS: {words[0]} twice"
            out[words[0]] = (int(words[1]), len(words) == 3)
    return out


def files(src):
    return sorted(path for path in src.glob("*/**/*") if path.suffix in (".h", ".cc", ".cpp", ".hpp", ".c"))


def is_test(path):
    """Tests, and what tests share: x_test.cc, testing.h, x_testing.h, test_x.h, fake_x.h."""
    return path.stem.endswith(("_test", "_testing")) or path.stem == "testing" or path.stem.startswith(("fake_", "test_"))


def code_of(path):
    """The text without comments (and without what stands in strings)."""
    text = path.read_text()
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', lambda m: '""' if m.group().startswith('"') else " ", text, flags=re.DOTALL)


def includes(path):
    """(kind, name) of each #include outside comments; kind is '<' or '"'."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return INCLUDE.findall(text)


def unknown_folders(src):
    known = layers(src)
    present = {path.name for path in src.iterdir() if path.is_dir()}
    for folder in sorted(present - known.keys()):
        yield f"src/{folder} is not in LAYERS"
    for folder in sorted(known.keys() - present):
        yield f"LAYERS names {folder}, which is not there"
    for folder in sorted(present & VAGUE_FOLDERS):
        yield f"src/{folder}: a name that says nothing"
    for path in src.iterdir():
        if path.is_file() and path.suffix in (".h", ".cc"):
            yield f"src/{path.name} is in no folder"


def wrong_includes(src):
    known = layers(src)
    for path in files(src):
        folder = path.relative_to(src).parts[0]
        for kind, name in includes(path):
            other = name.split("/")[0]
            if kind == "<":
                if other in known and (src / name).exists():
                    yield f"{path.relative_to(src)}: write \"{name}\", it is ours"
                continue
            if other not in known or not (src / name).exists():
                yield f"{path.relative_to(src)}: \"{name}\" is no \"folder/file.h\" of src"
            elif other != folder and known[other][0] >= known.get(folder, (99,))[0]:
                way = "sideways" if known[other][0] == known[folder][0] else "up"
                yield f"{path.relative_to(src)}: \"{name}\" goes {way} ({folder} {known[folder][0]}, {other} {known[other][0]})"


def impure(src):
    known = layers(src)
    for path in files(src):
        folder = path.relative_to(src).parts[0]
        if is_test(path) or not known.get(folder, (0, False))[1]:
            continue
        for kind, name in includes(path):
            if kind != "<" or name.startswith(PURE_LIBRARIES):
                continue
            if name not in PURE_STANDARD | PURE_EXTRA.get(folder, set()):
                yield f"{path.relative_to(src)}: <{name}> in a pure folder"
        for word in PURE_WORDS.findall(code_of(path)):
            yield f"{path.relative_to(src)}: {word} in a pure folder"


def libraries_elsewhere(src):
    for path in files(src):
        folder = path.relative_to(src).parts[0]
        for home, (library, header, words) in LIBRARIES.items():
            if folder == home:
                continue
            for _, name in includes(path):
                if header.search(name):
                    yield f"{path.relative_to(src)}: <{name}>: {library} is named in {home} only"
            for word in sorted(set(words.findall(code_of(path)))):
                yield f"{path.relative_to(src)}: {word}: {library} is named in {home} only"


def locks_elsewhere(src):
    for path in files(src):
        if is_test(path) or str(path.relative_to(src)) in LOCK_FILES:
            continue
        for kind, name in includes(path):
            if kind == "<" and name in LOCK_HEADERS:
                yield f"{path.relative_to(src)}: <{name}>: locks are in {' and '.join(sorted(LOCK_FILES))} only"


def tests_in_the_product(src):
    for path in files(src):
        if is_test(path):
            continue
        for _, name in includes(path):
            if (src / name).exists() and is_test(src / name) or name.startswith(("gtest/", "gmock/", "benchmark/")):
                yield f"{path.relative_to(src)}: {name} is for tests"


def unguarded_headers(src):
    for path in files(src):
        if path.suffix == ".h" and "#pragma once" not in path.read_text():
            yield f"{path.relative_to(src)}: no #pragma once"


def long_files(src):
    """For a warning only."""
    for path in files(src):
        lines = path.read_text().count("\n")
        if not is_test(path) and lines > (HEADER_LINES if path.suffix == ".h" else SOURCE_LINES):
            yield f"{path.relative_to(src)}: {lines} lines: perhaps two ideas"
