"""Tables in Markdown, on the terminal and in doc/PERFORMANCE.md (each section between its own two marks)."""
import pathlib
import re


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def put(path: pathlib.Path, section, text):
    """Replaces what stands between `<!-- SECTION -->` and `<!-- end SECTION -->`; appends both when they are missing."""
    old = path.read_text() if path.exists() else ""
    begin, end = f"<!-- {section} -->", f"<!-- end {section} -->"
    block = f"{begin}\n{text}{end}"
    if begin in old:
        new = re.sub(re.escape(begin) + r".*?" + re.escape(end), lambda _: block, old, flags=re.S)
    else:
        new = old.rstrip("\n") + f"\n\n{block}\n"
    path.write_text(new)
