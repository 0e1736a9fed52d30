/** How live opportunities and decisions find their places in the lists of the pages. */

import type { Query } from "../lib/api";
import type { Decision, Episode } from "../lib/history";
import type { LiveRows } from "../lib/list.svelte";
import { episodeKey, join } from "./rows";

function inRange(at_us: number, chain: string, query: Query): boolean {
  return (query.from_us == null || at_us >= Number(query.from_us)) && (query.to_us == null || at_us < Number(query.to_us)) && (!query.chain || query.chain === chain);
}

/** Whether a number is at least what is asked; what is no number is refused by the endpoint, which says so. */
function atLeast(value: number, asked: unknown): boolean {
  return asked === undefined || asked === null || asked === "" || value >= Number(asked);
}

export const EPISODES: LiveRows<Episode> = {
  channel: "opportunities",
  key: episodeKey,
  join,
  passes: (row, query) =>
    row.run_id === "" &&
    Number.isFinite(row.net_profit_usd) &&
    inRange(row.opened_at_us, row.chain, query) &&
    (!query.token || row.path.toLowerCase().includes(String(query.token).toLowerCase())) &&
    (!query.pool || row.pools.includes(String(query.pool))) &&
    (!query.venue || row.venues.includes(String(query.venue))) &&
    (!query.legs || row.legs === Number(query.legs)) &&
    atLeast(row.net_profit_usd, query.min_profit_usd) &&
    atLeast(row.open_slots, query.min_open_slots),
  rank: (row, query) => (query.order === "time" ? row.opened_at_us : row.net_profit_usd),
};

export const DECISIONS: LiveRows<Decision> = {
  channel: "decisions",
  key: (row) => `${row.decision_id}|${row.topology}|${row.run_id}`,
  // A decision does not change; what came of it is in the history.
  join: (one, other) => (one.outcome || !other.outcome ? one : other),
  passes: (row, query) =>
    row.run_id === "" &&
    inRange(row.timestamp_us, row.chain, query) &&
    (!query.arm || row.arm === query.arm) &&
    (!query.policy || row.policy === query.policy) &&
    (!query.outcome || row.outcome === query.outcome) &&
    atLeast(row.expected_profit_usd, query.min_expected_usd),
  rank: (row, query) => (query.order === "expected" ? row.expected_profit_usd : row.timestamp_us),
};
