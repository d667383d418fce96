"""How tests read commands out of documentation, and run them."""

import os
from pathlib import Path

from tests.support.markdown import blocks
from tests.support.shell import Command, commands, run_all

PAGE = """\
# Page

## First

```sh
a --flag \\
  more      # why

# a comment alone
b <<'EOF'
# not a comment
EOF
c
```

### Inner

```yaml
# file.yaml
x: |
  ## no heading
```
"""


def test_blocks_know_their_heading() -> None:
    assert [(one.line, one.language, one.heading) for one in blocks(PAGE)] == [
        (5, "sh", "First"),
        (18, "yaml", "Inner"),
    ]


def test_commands_are_whole() -> None:
    first, _ = blocks(PAGE)
    assert list(commands(first.text)) == [
        Command(1, "a --flag \\\n  more      # why"),
        Command(5, "b <<'EOF'\n# not a comment\nEOF"),
        Command(8, "c"),
    ]


def test_they_share_variables_and_end_at_the_first_failure(tmp_path: Path) -> None:
    texts = ["NAME=it", 'echo "$NAME" > file', "false | true", "echo not reached"]
    done = run_all(texts, tmp_path, {"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["$ NAME=it", '$ echo "$NAME" > file', "$ false | true"]
    assert (tmp_path / "file").read_text() == "it\n"
