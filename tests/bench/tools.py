"""The programs that a measurement needs and that Python does not bring: wrk publishes, nginx receives."""

import os
import shutil

WRK = shutil.which("wrk")
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin")
"""Debian puts it where only root's PATH leads."""

_absent = [package for package, program in (("wrk", WRK), ("nginx-light", NGINX)) if program is None]
MISSING = f"make bench needs what is not here: apt-get install {' '.join(_absent)}" if _absent else ""
"""What to install, in one line; empty if all is there."""
