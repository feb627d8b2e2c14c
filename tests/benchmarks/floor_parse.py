"""The floor of a cold plan, as a process: read every file below a directory and parse it with PyYAML's C loader."""

import sys
from pathlib import Path

import yaml

for file in sorted(Path(sys.argv[1]).rglob("*.yaml")):
    yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
