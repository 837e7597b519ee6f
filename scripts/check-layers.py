#!/usr/bin/env python3
"""Includes in src/ point only downward: a folder may include its own headers and those of folders below it in this table."""

import re
import sys
from pathlib import Path

# Each folder with what it may include (besides itself).
BELOW = {
    "base": [],
    "event": ["base"],
    "net": ["base", "event"],
    "http": ["base", "event", "stats"],
    "stats": ["base"],
    "config": ["base"],
    "upstream": ["base", "event", "net", "http", "stats", "config"],
    "wasm": ["base", "event", "stats"],
    "proxy": ["base", "event", "net", "http", "stats", "config", "upstream"],
    "filters": ["base", "event", "net", "http", "stats", "config", "upstream", "wasm", "proxy"],
    "accesslog": ["base", "event", "net", "http", "stats", "config", "upstream", "proxy"],
    "admin": ["base", "event", "net", "http", "stats", "config", "upstream", "proxy"],
    "server": ["base", "event", "net", "http", "stats", "config", "upstream", "wasm", "proxy", "filters", "accesslog", "admin"],
    "cli": ["base", "wasm", "config", "server"],
}
ROOT = Path(__file__).resolve().parents[1] / "src"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z]+)/[^"]+"')


def main():
    faults = []
    for path in sorted(ROOT.rglob("*.[ch]")):
        folder = path.relative_to(ROOT).parts[0]
        if folder not in BELOW:
            faults.append(f"{path.relative_to(ROOT.parent)}: folder {folder} has no row in {Path(__file__).name}")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if found and found.group(1) in BELOW and found.group(1) != folder and found.group(1) not in BELOW[folder]:
                faults.append(f"{path.relative_to(ROOT.parent)}:{number}: {folder} may not include {found.group(1)}/ (it is not below it)")
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


main()
