#!/usr/bin/env python3
"""Does every header of src/ compile alone, with the flags of a source beside it? Needs build/dev (or the folder named)."""

import json
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"


def main():
    build = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "dev"
    flags = {}  # of each folder of src/
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = Path(entry["file"])
        if source.is_relative_to(SRC):
            words = shlex.split(entry["command"])
            flags[source.relative_to(SRC).parts[0]] = [
                word for word in words[1:] if word.startswith(("-I", "-D", "-W", "-std", "/")) and word != entry["file"]]
            system = [words[i + 1] for i, word in enumerate(words) if word == "-isystem"]
            flags[source.relative_to(SRC).parts[0]] += [f"-isystem{folder}" for folder in system]

    def fault(header):
        folder = header.relative_to(SRC).parts[0]
        if folder not in flags:
            return ""
        words = [word for word in flags[folder] if not word.startswith("/") and word != "-Werror"]
        name = header.relative_to(SRC)
        done = subprocess.run(["gcc", *words, "-fsyntax-only", "-x", "c", "-"], input=f'#include "{name}"\n', text=True,
                              capture_output=True)
        return done.stderr if done.returncode else ""

    headers = sorted(SRC.rglob("*.h"))
    with ThreadPoolExecutor() as pool:
        faults = [text for text in pool.map(fault, headers) if text]
    print(*faults, sep="\n", end="")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
