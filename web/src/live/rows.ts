/** Rows of the pages from live messages, in the form that the history endpoints answer them. */

import type { Decision, Episode } from "../lib/history";
import { address, chainName, read, type Fields } from "./wire";

/** Numbers of `proto/mevflow/v1/decision.proto`; `tests/web/test_live.py` holds them against it. */
export const LEG: Fields = { 1: ["pool", "bytes"], 6: ["venue", "whole"] };
export const OPPORTUNITY: Fields = {
  1: ["opportunity_id", "hex"],
  2: ["topology", "text"],
  3: ["run_id", "text"],
  4: ["chain", "whole"],
  5: ["slot", "whole"],
  8: ["timestamp_us", "whole"],
  9: ["legs", { many: LEG }],
  10: ["mint", "bytes"],
  16: ["gross_profit_usd", "double"],
  17: ["net_profit_usd", "double"],
  21: ["opened_slot", "whole"],
  23: ["opened_us", "whole"],
  24: ["path", "text"],
  26: ["closed", "bool"],
};
export const DECISION: Fields = {
  1: ["decision_id", "hex"],
  2: ["opportunity_id", "hex"],
  3: ["topology", "text"],
  4: ["run_id", "text"],
  5: ["chain", "whole"],
  6: ["slot", "whole"],
  7: ["timestamp_us", "whole"],
  10: ["arm", "text"],
  11: ["propensity", "double"],
  12: ["policy", "text"],
  13: ["policy_version", "whole"],
  14: ["model_version", "whole"],
  16: ["tip_share", "double"],
  18: ["score", "double"],
  24: ["mint", "bytes"],
  25: ["expected_profit_usd", "double"],
};
/** By the numbers of `mevflow.v1.Venue`. */
export const VENUES: Record<number, string> = {
  0: "unspecified",
  1: "orca_whirlpool",
  2: "uniswap_v2",
  3: "uniswap_v3",
  4: "raydium_v4",
  5: "raydium_cpmm",
  6: "raydium_clmm",
  7: "meteora_dlmm",
  8: "curve_stable",
  9: "saber",
  10: "aerodrome_volatile",
  13: "aerodrome_stable",
  14: "slipstream",
  15: "uniswap_v4",
  16: "balancer_weighted",
};

interface Moment {
  opportunity_id: string;
  topology: string;
  run_id: string;
  chain: number;
  slot: number;
  timestamp_us: number;
  legs: { pool: Uint8Array; venue: number }[];
  mint: Uint8Array;
  gross_profit_usd: number;
  net_profit_usd: number;
  opened_slot: number;
  opened_us: number;
  path: string;
  closed: boolean;
}

/** One moment of an episode, as an episode of its own; those of one episode are put together by `join`. */
export function episode(payload: Uint8Array): Episode {
  const moment = read(payload, OPPORTUNITY) as unknown as Moment;
  return {
    opportunity_id: moment.opportunity_id,
    chain: chainName(moment.chain),
    topology: moment.topology,
    run_id: moment.run_id,
    opened_at_us: moment.opened_us,
    closed_at_us: moment.closed ? moment.timestamp_us : null,
    opened_slot: moment.opened_slot,
    open_slots: moment.slot - moment.opened_slot,
    open_seconds: (moment.timestamp_us - moment.opened_us) / 1e6,
    path: moment.path,
    mint: address(moment.mint, moment.chain),
    pools: moment.legs.map((leg) => address(leg.pool, moment.chain)),
    venues: moment.legs.map((leg) => VENUES[leg.venue] ?? `${leg.venue}`),
    events: moment.closed ? 0 : 1,
    legs: moment.legs.length,
    net_profit_usd: moment.closed ? -Infinity : moment.net_profit_usd,
    gross_profit_usd: moment.gross_profit_usd,
  };
}

export function decision(payload: Uint8Array): Decision {
  const found = read(payload, DECISION) as unknown as Omit<Decision, "chain" | "mint"> & { chain: number; mint: Uint8Array };
  const { chain, mint, ...rest } = found;
  return { ...rest, chain: chainName(chain), mint: address(mint, chain), tip_raw: "", outcome: "", reward_usd: null };
}

/** What is known of one episode from two sides: its best moment, and how far it has been followed. */
export function join(one: Episode, other: Episode): Episode {
  const best = other.net_profit_usd > one.net_profit_usd ? other : one;
  const last = other.open_seconds > one.open_seconds ? other : one;
  const closed = one.closed_at_us ?? other.closed_at_us;
  return { ...best, closed_at_us: closed, open_slots: Math.max(one.open_slots, other.open_slots), open_seconds: last.open_seconds, events: Math.max(one.events, other.events) };
}

export function episodeKey(row: Episode): string {
  return [row.chain, row.topology, row.run_id, row.opened_at_us, row.opened_slot, row.mint, ...row.pools].join("|");
}
