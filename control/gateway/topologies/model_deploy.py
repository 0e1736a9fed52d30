"""A registered model to a running topology: ``POST /api/training/models/{id}/deploy``.

It is the call ``SwapModel`` of the control plane, with the command made from the registry: shards fetch the state by
its content id, the answer says what each of them did. The gate is that of the call
(``control/server/model_gate.py``).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.calls.shape import encode
from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.refusal import Refused, invalid
from mevflow.flows.registry import ModelMeta, ModelRegistry
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.v1 import control_service_pb2 as pb


class DeployAsked(msgspec.Struct, forbid_unknown_fields=True):
    """``model`` is NAME, NAME@VERSION, or an id or its first six or more digits; it stands in the path as ``id``.

    ``target`` is the node (``decided@solana`` for one chain). ``wait_ms``: for the shards' answers. ``rollback``: where
    one shard refuses, the others get the former model again.
    """

    topology: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,127}$")]
    target: Annotated[str, Meta(min_length=1, max_length=256)]
    chain: Annotated[str, Meta(max_length=64)] = ""
    candidate: Annotated[str, Meta(max_length=64)] = ""
    force: bool = False
    rollback: bool = False
    wait_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0
    reason: Annotated[str, Meta(max_length=500)] = ""
    idempotency_key: Annotated[str, Meta(max_length=64)] = ""


class ModelDeploy:
    """Answers the endpoint."""

    method = "SwapModel"

    def __init__(self, carrier: Carrier, var: Path) -> None:
        self._carrier, self._registry = carrier, ModelRegistry(var / "models")

    async def deploy(self, request: Request) -> Response:
        """Swap the model in, and answer what every shard said."""
        carrier = self._carrier
        body = await carrier.body(request, self.method)
        made: pb.SwapModelRequest | Refused
        # Of a caller who may not make the call nothing is read, here neither.
        made = body if isinstance(body, Refused) else await asyncio.to_thread(self._asked, request, body)

        def make() -> pb.SwapModelRequest:
            carrier.check(request)
            if isinstance(made, Refused):
                raise made
            return made

        reply = await carrier.dispatcher.call(self.method, make, carrier.caller(request))
        return Response(encode(reply), 200, {"cache-control": "no-store"}, "application/json")

    def _asked(self, request: Request, body: bytes) -> pb.SwapModelRequest | Refused:
        try:
            asked = msgspec.json.decode(body, type=DeployAsked)
            model = self._registry.find(str(request.path_params["id"]))
            self._registry.state(model)  # whole, or it is said
            return _command(asked, model)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Refused("INVALID_ARGUMENT", "MALFORMED_REQUEST", str(error))
        except UsageError as error:
            return Refused("NOT_FOUND", "NO_SUCH_MODEL", str(error.message))
        except MevflowError as error:
            return Refused("FAILED_PRECONDITION", "DAMAGED_MODEL", str(error.message))
        except Refused as refused:
            return refused


def _command(asked: DeployAsked, model: ModelMeta) -> pb.SwapModelRequest:
    """Raises Refused for a wish that fits no model of its kind."""
    payload: dict[str, Any] = {"id": model.id, "chain": asked.chain or model.chain}
    if model.kind == "pipeline":
        payload["candidate"] = asked.candidate or model.name
    elif asked.candidate:
        raise invalid("candidate", f"{model.name} is a policy; candidates are of river.model")
    else:
        payload |= {"policy": model.learner, "options": model.options}
    delivery = pb.Delivery(
        rollback=asked.rollback,
        wait_ms=asked.wait_ms,
        reason=asked.reason,
        idempotency_key=asked.idempotency_key,
        force=asked.force,
    )
    return pb.SwapModelRequest(
        topology=asked.topology, target=asked.target, payload=msgspec.json.encode(payload), delivery=delivery
    )
