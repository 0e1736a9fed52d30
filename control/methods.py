"""The calls of ``mevflow.v1.Control`` and of the gateway: who may make them, and what they do to the world."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """``role``: the lowest that may call it; ``streams``: the answer is a stream; ``changes``: it changes something."""

    name: str
    role: str
    streams: bool = False
    changes: bool = False


METHODS = {
    method.name: method
    for method in (
        Method("Validate", "viewer"),
        Method("Plan", "viewer"),
        Method("Apply", "operator", changes=True),
        Method("Rollback", "operator", changes=True),
        Method("SwapModel", "operator", changes=True),
        Method("Kill", "operator", changes=True),
        Method("Release", "risk", changes=True),
        Method("Command", "operator", changes=True),
        Method("Status", "viewer"),
        Method("History", "viewer"),
        Method("Watch", "viewer", streams=True),
        Method("WatchAcks", "viewer", streams=True),
        Method("ListTopologies", "viewer"),
        Method("ValidateTopology", "viewer"),
        Method("TopologyStatus", "viewer"),
        Method("Deploy", "admin", changes=True),
        Method("Stop", "admin", changes=True),
        Method("Rescale", "admin", changes=True),
        Method("PlanTopology", "admin"),
        Method("UpgradeTopology", "admin", changes=True),
        Method("RollbackTopology", "admin", changes=True),
        Method("Replay", "operator", streams=True, changes=True),
        # Of the gateway alone
        Method("Login", "viewer"),
        Method("Logout", "viewer"),
        Method("Session", "viewer"),
        Method("Channel", "viewer"),
        Method("Metrics", "viewer"),
        Method("Query", "viewer"),
        Method("DatasetSchema", "viewer"),
        Method("DatasetExport", "viewer"),
        Method("Opportunities", "viewer"),
        Method("Opportunity", "viewer"),
        Method("Decisions", "viewer"),
        Method("Decision", "viewer"),
        Method("Labels", "viewer"),
        Method("Prices", "viewer"),
        Method("Pools", "viewer"),
        Method("Tokens", "viewer"),
        Method("StatsMinute", "viewer"),
        Method("StatsDays", "viewer"),
        Method("StatsSummary", "viewer"),
        Method("BanditArms", "viewer"),
        Method("BanditEvents", "viewer"),
        Method("BanditPolicies", "viewer"),
        Method("BanditShares", "viewer"),
        Method("TopologyGraph", "viewer"),
        Method("TopologyCommands", "viewer"),
        Method("QueryTemplates", "viewer"),
        Method("Realtime", "viewer"),
        Method("RealtimeConnections", "viewer"),
        Method("Topics", "viewer"),
        Method("TopicLag", "viewer"),
        Method("Schemas", "viewer"),
        Method("Messages", "viewer"),
        Method("MessagesLive", "viewer"),
        Method("Message", "viewer"),
        Method("DeadLetters", "viewer"),
        Method("DeadLetter", "viewer"),
        Method("Services", "viewer"),
        Method("Alerts", "viewer"),
        Method("Replays", "viewer"),
        Method("ReplayPlan", "viewer"),
        Method("ReplayDiff", "viewer"),
        Method("ReplayStart", "operator", changes=True),
        Method("ReplayCancel", "operator", changes=True),
        Method("TopologyLogs", "viewer"),
        Method("TopologyMetrics", "viewer"),
        Method("QueryCancel", "viewer"),
        Method("TrainJobs", "viewer"),
        Method("TrainJob", "viewer"),
        Method("TrainModels", "viewer"),
        Method("Evaluate", "viewer"),
        Method("TrainStart", "operator", changes=True),
        Method("TrainCancel", "operator", changes=True),
        Method("QueryProgress", "viewer"),
        Method("QuerySchema", "viewer"),
        Method("LabTests", "viewer"),
        Method("LabRuns", "viewer"),
        Method("LabRun", "operator", changes=True),
        Method("GrafanaPlan", "admin"),
        Method("GrafanaApply", "admin", changes=True),
        Method("DlqReplay", "operator", changes=True),
        Method("DlqPurge", "risk", changes=True),
    )
}
