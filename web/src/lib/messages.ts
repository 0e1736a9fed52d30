/** What `/api/topics`, `/api/messages` and `/api/dlq` answer. */

export interface Topic {
  name: string;
  schema: string;
  partitions: number;
  messages: number;
}

export interface Row {
  partition: number;
  offset: number;
  timestamp_us: number;
  bytes: number;
  fields?: Record<string, unknown>;
  hex?: string;
  error?: string;
}

export interface MessagePage {
  topic: string;
  schema: string;
  rows: Row[];
  read: number;
  shown: number;
  undecodable: number;
  skipped: number;
  behind: number;
  took_ms: number;
  next: string;
}

/** What `/api/messages/{topic}/ws` sends: what came since the frame before. */
export interface LiveFrame {
  rows: Row[];
  received: number;
  matched: number;
  sampled: number;
  dropped: number;
  undecodable: number;
  behind: number;
  next: string;
}

export interface Node {
  field: number;
  name: string;
  type: string;
  wire: string;
  start: number;
  value_start: number;
  end: number;
  value: string | null;
  children: Node[];
  fault: string;
}

export interface Message {
  topic: string;
  partition: number;
  offset: number;
  timestamp_us: number;
  schema: string;
  key: string | null;
  headers: { name: string; value: string }[];
  bytes: number;
  tombstone: boolean;
  hex: string;
  fields: Record<string, unknown> | null;
  error: string;
  tree: Node[];
}

export interface Letter {
  at: string;
  source: string;
  timestamp_us: number;
  topology: string;
  stage: string;
  reason: string;
  detail: string;
  copies: number;
  sent: boolean;
  bytes: number;
}

export interface Letters {
  rows: Letter[];
  letters: number;
  truncated: boolean;
  sums: { topic: string; stage: string; reason: string; letters: number }[];
}

/** Fields in one line: `slot=7 pool=65shmp…`. */
export function inLine(fields: Record<string, unknown>): string {
  const text = (value: unknown): string => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value));
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${text(value)}`)
    .join("  ");
}
