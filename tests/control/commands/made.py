"""Commands and answers as the topics carry them."""

from mevflow.v1.control_pb2 import ControlAck, ControlAudit, ControlCommand


def command(number, version=1, topology="t", kind="policy", target="found", **more):
    return ControlCommand(command_id=f"c{number}", topology=topology, kind=kind, target=target, version=version, **more)


def ack(number, status=ControlAck.APPLIED, shard=0, stage="found", run_id="r", topology="t"):
    return ControlAck(
        command_id=f"c{number}", topology=topology, shard=shard, stage=stage, status=status, run_id=run_id
    )


def issued(given, identity="ann", key="k"):
    return ControlAudit(
        status="ISSUED",
        command=given.SerializeToString(),
        command_id=given.command_id,
        identity=identity,
        idempotency_key=key,
        request_hash=b"h",
    )
