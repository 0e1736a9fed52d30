/** What the top bar, the Overview and Control say of shards and services: one poll for all of them. */

import { get } from "./api";
import { Resource } from "./resource.svelte";

export interface Shard {
  topology: string;
  shard: number;
  state: string;
  heard_ms_ago: number;
  messages: number;
  lag: number;
  killed: boolean;
  paused: boolean;
  policy_version: number;
  pulse_age_ms: number;
}

export interface Answer {
  topology: string;
  shard: number;
  stage: string;
  status: string;
  reason: string;
  detail: string;
}

export interface Command {
  command_id: string;
  topology: string;
  target: string;
  kind: string;
  version: number;
  outcome: string;
  answers: Answer[];
  expected: number;
  applied: number;
  rejected: number;
  missing: number;
  issuer: string;
  issued_at_us: number;
  reason: string;
  payload: unknown;
  note: string;
}

export interface Status {
  commands: Command[];
  shards: Shard[];
  killed: string[];
  ready: boolean;
}

export const status = new Resource<Status>((signal) => get("/api/control/status", {}, signal), 2_000);

/** Shards that should run: one that was stopped as it was told to is no fault, and its lag is none to act on. */
export function wanted(told: Status | undefined): Shard[] {
  return (told?.shards ?? []).filter((shard) => shard.state !== "stopped");
}
