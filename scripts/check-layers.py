#!/usr/bin/env python3
"""Does every folder of src/ include only from those below it? The order is that of src/CMakeLists.txt, with a few folders kept apart."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"

# What the order would allow, and the design does not.
APART = {
    "http": {"net"},  # codecs turn bytes into events and back: no sockets
    "stats": {"event", "net", "http"},
    "config": {"event", "net", "http"},
    "wasm": {"event", "net", "http", "upstream"},  # the engine knows no HTTP: filters/wasm tells it
    "accesslog": {"filters"},
    "admin": {"filters", "accesslog"},
}


def main():
    order = re.findall(r"add_subdirectory\((\w+)\)", (SRC / "CMakeLists.txt").read_text())
    faults = []
    for path in sorted(SRC.rglob("*.[ch]")):
        folder = path.relative_to(SRC).parts[0]
        allowed = set(order[: order.index(folder) + 1]) - APART.get(folder, set())
        for number, line in enumerate(path.read_text().splitlines(), 1):
            include = re.match(r'\s*#\s*include\s+"(\w+)/', line)
            if include and include[1] in order and include[1] not in allowed:
                faults.append(f"{path.relative_to(ROOT)}:{number}: {folder} must not know {include[1]}")
    print(*faults, sep="\n", end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
