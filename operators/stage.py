"""The contract of a stage: Arrow batches in on named ports, Arrow batches out on named ports.

A stage is deterministic: no wall clock, no global randomness, no I/O. What it needs to know of its
surroundings comes through :class:`StageContext`. Its memory is bounded, and ``snapshot`` holds all of
its state in a versioned, pickle-free form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

from mevflow.operators.switch import Switch

#: A watermark that no event can precede: the source has ended, or has nothing more right now.
CAUGHT_UP_US = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Watermark:
    """A source's word that no event older than ``hold_us`` (chain time) is outstanding.

    ``final`` says that the stream ends here. A live source that has read all there is says
    ``CAUGHT_UP_US`` without ``final``; events that arrive later may be older than others already seen.
    """

    hold_us: int
    final: bool = False


@dataclass(frozen=True, slots=True)
class StageContext:
    """What a stage may know of its surroundings.

    ``run_id`` is empty for the live run and names a replay otherwise; it is never part of a
    deterministic id, so that a replay gives the ids of the live run. ``inputs`` are the input ports that
    something feeds (empty: all of them), ``outputs`` the output ports that something takes (None: all).
    ``switch`` is the kill switch of a live shard: a stage that decides looks at it before it does.
    ``epoch`` only grows from one deployment of a topology to the next, wherever they are started (0: unknown): a sink
    may have the other side refuse what an earlier deployment still writes. It is never part of a result.
    """

    topology: str
    node: str
    run_id: str = ""
    shard: int = 0
    shards: int = 1
    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] | None = None
    switch: Switch = field(default_factory=Switch, compare=False)
    epoch: int = 0

    def wants(self, port: str) -> bool:
        """Whether anything takes what the stage would emit on ``port``."""
        return self.outputs is None or port in self.outputs


#: Between a stage and one of its chains in a command's target: ``decided@solana``.
OF_CHAIN = "@"


def stage_in(target: str) -> str:
    """The node, or the use, that a command's target names, without the chain.

    >>> stage_in("decided@solana"), stage_in("decided")
    ('decided', 'decided')
    """
    return target.partition(OF_CHAIN)[0]


@dataclass(frozen=True, slots=True)
class Command:
    """A control command as a stage sees it."""

    command_id: str
    kind: str
    target: str
    version: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Ack:
    """A stage's answer to a command."""

    status: str  # APPLIED | REJECTED | STALE | DUPLICATE
    reason: str = ""
    detail: str = ""


#: What a topology may be set up for: little delay, or many rows.
PROFILES = ("latency", "throughput")


class Settings(BaseModel):
    """Base of every stage's settings: frozen, and an unknown key is an error.

    ``profiles``: by name of :data:`PROFILES`, the settings that stand for what nobody has set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {}


def _beside(path: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get("folder")
    return str(PurePath(folder) / path) if folder and path else path


#: A path in a node's settings: a relative one is of the folder of the topology file (``folder`` in the validation's
#: context), never of the working directory.
LocalPath = Annotated[str, AfterValidator(_beside)]

Output = Iterable[tuple[str, pa.RecordBatch]]

#: The settings of a part: ``class Changes(Stage[ChangesSettings])`` has ``self.settings.threshold`` typed.
SettingsT = TypeVar("SettingsT", bound=Settings)


class Stage(Generic[SettingsT]):
    """Base of every stage. Subclasses declare ports and settings, and implement ``process``.

    Class attributes
    ----------------
    use : the name in a topology file (``arbitrage.detect``).
    summary : one line for ``mevflow topologies stages``.
    settings_type : the pydantic model of ``with:``.
    stateless : what comes of a row depends on nothing but the row, so shards may divide rows among them.
    commands : kind of command -> the model of its payload, of those that the stage takes; forms are made from it.

    Notes
    -----
    ``input_schemas``/``output_schemas`` may depend on the settings (``decode`` emits what ``message``
    names), so they are class methods that take them. A single input is called ``in``, a single output ``out``;
    ``errors`` is the port of dead letters.
    """

    use: ClassVar[str]
    summary: ClassVar[str] = ""
    settings_type: ClassVar[type[Settings]] = Settings
    stateless: ClassVar[bool] = False
    commands: ClassVar[Mapping[str, type[BaseModel]]] = {}

    def __init__(self, settings: SettingsT, context: StageContext) -> None:
        self.settings = settings
        self.context = context

    @classmethod
    def input_schemas(cls, settings: SettingsT) -> Mapping[str, pa.Schema | None]:
        """Port -> schema that it takes (None: any)."""
        raise NotImplementedError

    @classmethod
    def output_schemas(cls, settings: SettingsT) -> Mapping[str, pa.Schema]:
        """Port -> schema that it emits."""
        raise NotImplementedError

    @classmethod
    def check_files(cls, settings: SettingsT) -> None:
        """Look at the files that settings name, when the topology is checked. Raises MevflowError with the key.

        Nothing else may read them before a stage is made: a check of somebody else's text must not open files.
        """

    def process(self, port: str, batch: pa.RecordBatch) -> Output:
        """Take one batch; give any number of ``(port, batch)``. Never mutates ``batch``."""
        raise NotImplementedError

    def on_watermark(self, port: str, watermark: Watermark) -> Output:
        """React to progress on one input. The runtime passes the watermark on afterwards."""
        return ()

    def on_control(self, command: Command) -> Ack | None:
        """Apply a command, or say None when it is not for this stage."""
        return None

    def rehearse(self, command: Command) -> Ack | None:
        """What :meth:`on_control` would answer. Nothing changes, and what comes later is decided as if never asked."""
        state = self.snapshot()
        try:
            return self.on_control(command)
        finally:
            self.restore(state)

    def counts(self) -> Mapping[str, float]:
        """What it has counted beside its outputs, by name; each only grows. Asked for by another thread."""
        return {}

    def snapshot(self) -> bytes:
        """All state, versioned and free of pickle."""
        return b""

    def restore(self, state: bytes) -> None:
        """Take a snapshot's state. Raises StateError when it does not fit."""
