"""Makes what scripts/peers and scripts/original measure, and what they measure it with."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def rust():
    """The program of benches/peers/peer.rs."""
    listing = subprocess.run(["cargo", "bench", "--bench", "peer", "--no-run"], cwd=ROOT, check=True, text=True,
                             stderr=subprocess.PIPE).stderr
    return str(ROOT / listing.rsplit("(", 1)[1].split(")")[0])


def python_with(package, folder):
    """A Python in this folder that has this package of PyPI."""
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
    return python
