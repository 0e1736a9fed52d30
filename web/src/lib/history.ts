/** Rows of the history endpoints, as docs/gateway.md describes them. */

import { get } from "./api";

export interface Episode {
  opportunity_id: string;
  chain: string;
  topology: string;
  run_id: string;
  opened_at_us: number;
  closed_at_us: number | null;
  opened_slot: number;
  open_slots: number;
  open_seconds: number;
  path: string;
  mint: string;
  pools: string[];
  venues: string[];
  events: number;
  legs: number;
  net_profit_usd: number;
  gross_profit_usd: number;
}

export interface Decision {
  decision_id: string;
  opportunity_id: string;
  topology: string;
  run_id: string;
  chain: string;
  slot: number;
  timestamp_us: number;
  mint: string;
  arm: string;
  propensity: number;
  score: number;
  tip_share: number;
  tip_raw: string;
  expected_profit_usd: number;
  policy: string;
  policy_version: number;
  model_version: number;
  outcome: string;
  reward_usd: number | null;
}

export interface Page<Row> {
  rows: Row[];
  next?: string | null;
  truncated?: boolean;
}

export interface Summary {
  swaps: number;
  dead_letters: number;
  episodes: number;
  best_profit_usd: number;
  decisions: number;
  decided_usd: number;
  bids: number;
  bid_usd: number;
  landed: number;
  outcomes: number;
  landed_usd: number;
  reward_usd: number;
}

export interface Minute {
  minute_us: number;
  opportunities: number;
  episodes: number;
  profit_micro_usd: number;
}

interface Token {
  chain: string;
  mint: string;
  symbol: string;
  decimals: number;
}

let tokens: Promise<Map<string, Token>> | undefined;

/** Symbols and decimals, asked for once; a token that no pool named is not there. */
export function tokensByMint(): Promise<Map<string, Token>> {
  tokens ??= get<Page<Token>>("/api/tokens").then(
    (page) => new Map(page.rows.map((row) => [row.mint, row])),
    (error: unknown) => {
      tokens = undefined;
      throw error;
    },
  );
  return tokens;
}
