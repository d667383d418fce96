"""Writes what follows from crds/, from the chart's values and from its templates: `make manifests`.

`make check` fails while a part of it is stale; the plain manifests, which need Helm, are checked in tests/chart.
"""

import subprocess
import sys

from tools.controlplane import build
from tools.manifests import chart, plain


def main() -> int:
    chart.write()
    helm = build.build(build.HELM) / "helm"
    for file in plain.FILES:
        try:
            file.path.write_text(plain.text(file, helm), encoding="utf-8")
        except subprocess.CalledProcessError as error:
            print(f"Helm cannot render {file.path.name}:\n{error.stderr}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
