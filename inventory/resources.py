#!/usr/bin/env python3
"""Ansible's dynamic source over what the control plane has delivered: `controlplane inventory`.

Used where it is asked for (`-i inventory`): no run of the control plane's own waits for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
# The city of `make run`, unless the caller names another control plane's folder or database.
SAMPLE_CITY = CHECKOUT / "var" / "controlplane"


def main() -> None:
    """Run `controlplane inventory` in this checkout's own environment where it has one."""
    python = CHECKOUT / ".venv" / "bin" / "python"
    interpreter = str(python) if python.exists() else sys.executable
    if SAMPLE_CITY.exists():
        os.environ.setdefault("CONTROLPLANE_VAR_DIR", str(SAMPLE_CITY))
    command = [interpreter, "-m", "controlplane.cli", "inventory", *sys.argv[1:]]
    # Ansible starts this script in the folder it stands in.
    sys.exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)


if __name__ == "__main__":
    main()
