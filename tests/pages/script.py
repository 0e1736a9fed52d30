"""A page as one bash script: what its blocks ``sh`` and ``console`` say, in the order in which they are read.

It ends at the first command that fails. Answers of ``console`` blocks are kept in files, to be compared.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.docs.blocks import Block, dialogue

#: What a reader would see and then end by Ctrl-C: it has to say something.
_PRELUDE = """\
set -euo pipefail
ended() {
  rm -f ended.out; "$@" > ended.out 2>&1 & local pid=$!
  until [ -s ended.out ] || ! kill -0 $pid 2> /dev/null; do sleep 0.1; done
  kill $pid 2> /dev/null || true; wait $pid || true; [ -s ended.out ]
}
"""


def is_run(block: Block) -> bool:
    """Whether it is of commands, and nothing says why they are not run."""
    return block.language in ("sh", "console") and not block.why_not


def script(blocks: list[Block], folder: Path) -> str:
    """What bash is to run; answers are written to ``folder``. What a page says again is run once."""
    said, before = [_PRELUDE], set[str]()
    for block in blocks:
        said.append(f"echo '== {block.where}' >&2")
        if block.language == "sh":
            lines = [line for line in block.text.splitlines() if not (line.startswith("mevflow ") and line in before)]
            before.update(lines)
            said += [re.sub(r"^(.+?)\s+# .*Ctrl-C ends it$", r"ended \1", line) for line in lines]
            continue
        for number, (command, _) in enumerate(dialogue(block.text)):
            said.append(
                f"{{ {command.split('  # ')[0].rstrip()}\n}} > {answer_file(folder, block, number)} 2>&1 || true"
            )
    return "\n".join(said)


def answer_file(folder: Path, block: Block, number: int) -> str:
    """Where the answer to a block's command ``number`` is, as the shell writes it."""
    return shlex.quote(str(folder / f"{block.line}-{number}.txt"))


def answers(expected: str, given: str) -> bool:
    """Whether what was given is what the page shows: ``…`` stands for anything, line ends for any white space."""
    lines = "\n".join(line.strip() for line in expected.strip().splitlines())
    pattern = ".*".join(r"\s*".join(map(re.escape, part.split("\n"))) for part in lines.split("…"))
    return re.fullmatch(pattern, given.strip(), re.S) is not None
