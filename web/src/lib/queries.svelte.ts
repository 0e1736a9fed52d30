/** The statements of the SQL page, a tab each: kept in this browser, with what came of them while the page is open. */

import { get, patiently, Refusal, send, type Problem } from "./api";
import { rows } from "./format";

export interface Found {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  truncated: boolean;
  statistics: { elapsed?: number; rows_read?: number; bytes_read?: number };
}

interface Progress {
  running: boolean;
  elapsed_s?: number;
  rows_read?: number;
  rows_total?: number;
  bytes_read?: number;
  memory_bytes?: number;
}

/** A statement that was run. `said`: how many rows, or what was wrong. */
export interface Ran {
  sql: string;
  at_ms: number;
  said: string;
  failed: boolean;
}

const KEY = "mevflow.sql";
const FIRST = "SELECT chain, count() AS swaps\nFROM raw_swaps\nGROUP BY chain";
export const MOST_TABS = 20;
const MOST_RAN = 50;
/** Longer statements are not kept: a browser keeps about five million characters. */
const MOST_CHARACTERS = 20_000;
const PROGRESS_MS = 400;

export class QueryTab {
  readonly id = crypto.randomUUID();
  text = $state("");
  values = $state<Record<string, string>>({});
  found = $state.raw<Found | undefined>();
  problem = $state.raw<Problem | undefined>();
  progress = $state.raw<Progress | undefined>();
  running = $state.raw<AbortController | undefined>();
  /** `{name:Type}` of the text, each a field. */
  readonly parameters = $derived([...new Map([...this.text.matchAll(/\{(\w+):([^{}]+)\}/g)].map(([, name = "", type = ""]) => [name, type])).entries()]);
  readonly name = $derived(this.text.trim().replace(/\s+/g, " ").slice(0, 24) || "empty");

  constructor(text = "", values: Record<string, string> = {}) {
    this.text = text;
    this.values = values;
  }

  /** Run it, in place of what runs. Gives where in the text ClickHouse says that something is wrong, if it does. */
  async run(): Promise<number | undefined> {
    this.running?.abort();
    const mine = (this.running = new AbortController());
    const { text } = this;
    const parameters = Object.fromEntries(this.parameters.map(([name]) => [name, this.values[name] ?? ""]));
    this.problem = this.progress = undefined;
    const id = crypto.randomUUID();
    const timer = setInterval(() => void this.look(id, mine), PROGRESS_MS);
    try {
      const found = await patiently(() => send<Found>("POST", "/api/clickhouse/query", { query: text, parameters, id }, mine.signal), mine.signal);
      if (mine.signal.aborted) return undefined;
      this.found = found;
      queries.note({ sql: text, at_ms: Date.now(), said: rows(found.rows.length), failed: false });
    } catch (error) {
      if (mine.signal.aborted) return undefined;
      if (!(error instanceof Refusal)) throw error;
      this.problem = error.problem;
      queries.note({ sql: text, at_ms: Date.now(), said: error.problem.detail.slice(0, 200), failed: true });
      const place = /failed at position (\d+)/.exec(error.problem.detail)?.[1];
      return place && text === this.text ? Number(place) - 1 + text.length - text.trimStart().length : undefined;
    } finally {
      clearInterval(timer);
      if (this.running === mine) this.running = this.progress = undefined;
    }
    return undefined;
  }

  stop(): void {
    this.running?.abort();
  }

  /** How far it is; what cannot be told is not shown. */
  private async look(id: string, mine: AbortController): Promise<void> {
    const told = await get<Progress>("/api/clickhouse/progress", { id }, mine.signal).catch(() => undefined);
    if (this.running === mine && told?.rows_read !== undefined) this.progress = told;
  }
}

class Queries {
  tabs = $state.raw<QueryTab[]>([]);
  ran = $state.raw<Ran[]>([]);
  private chosen = $state("");
  readonly current: QueryTab = $derived(this.tabs.find((tab) => tab.id === this.chosen) ?? this.tabs[0]!);

  constructor() {
    const kept = read();
    this.tabs = kept.tabs.length ? kept.tabs : [new QueryTab(FIRST)];
    this.ran = kept.ran;
    this.chosen = this.tabs[kept.chosen]?.id ?? "";
  }

  choose(tab: QueryTab): void {
    this.chosen = tab.id;
  }

  /** A statement in a tab: that which has it already, else a new one; of too many the oldest is closed. */
  open(text: string, values: Record<string, string> = {}): void {
    let tab = text ? [this.current, ...this.tabs].find((each) => each.text === text) : undefined;
    if (!tab) {
      tab = new QueryTab(text, values);
      if (this.tabs.length >= MOST_TABS) this.close(this.tabs[0]!);
      this.tabs = [...this.tabs, tab];
    }
    this.choose(tab);
  }

  /** What has no result stays in the history, so that it is not lost. */
  close(tab: QueryTab): void {
    tab.stop();
    if (tab.text.trim() && !this.ran.some((each) => each.sql === tab.text)) this.note({ sql: tab.text, at_ms: Date.now(), said: "no result", failed: false });
    const at = this.tabs.indexOf(tab);
    const left = this.tabs.filter((each) => each !== tab);
    this.tabs = left.length ? left : [new QueryTab()];
    this.choose(this.tabs[Math.min(at, this.tabs.length - 1)]!);
  }

  note(ran: Ran): void {
    this.ran = [ran, ...this.ran.filter((each) => each.sql !== ran.sql)].slice(0, MOST_RAN);
  }

  forget(): void {
    this.ran = [];
  }

  /** What is kept, as text. */
  kept(): string {
    const tabs = this.tabs.filter((tab) => tab.text.length <= MOST_CHARACTERS);
    return JSON.stringify({
      tabs: tabs.map(({ text, values }) => ({ text, values })),
      chosen: tabs.indexOf(this.current),
      ran: this.ran.filter((each) => each.sql.length <= MOST_CHARACTERS),
    });
  }
}

/** What the browser kept; what cannot be read is left out. */
function read(): { tabs: QueryTab[]; chosen: number; ran: Ran[] } {
  try {
    const { tabs, chosen, ran } = JSON.parse(localStorage.getItem(KEY) ?? "{}") as { tabs?: { text: string; values: Record<string, string> }[]; chosen?: number; ran?: Ran[] };
    return {
      tabs: (tabs ?? []).slice(0, MOST_TABS).map((each) => new QueryTab(String(each.text), { ...each.values })),
      chosen: Number(chosen ?? 0),
      ran: (ran ?? []).slice(0, MOST_RAN).map((each) => ({ sql: String(each.sql), at_ms: Number(each.at_ms), said: String(each.said), failed: !!each.failed })),
    };
  } catch {
    return { tabs: [], chosen: 0, ran: [] };
  }
}

export const queries = new Queries();
$effect.root(() => {
  $effect(() => {
    const kept = queries.kept();
    try {
      localStorage.setItem(KEY, kept);
    } catch {
      // full, or forbidden: they last as long as the page
    }
  });
});
