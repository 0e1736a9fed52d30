/**
 * A list that goes on by its cursor: the first page is loaded again when what is asked changes. Live rows are put among
 * what is stored, each once: by its key, until the history has it as well.
 */

import { tick } from "svelte";
import { follow } from "../live/live.svelte";
import { Refill } from "../live/refill";
import { get, type Query } from "./api";
import type { Page } from "./history";
import { days, span } from "./ranges.svelte";
import { isPaused, Resource } from "./resource.svelte";
import { route } from "./route.svelte";

const PAGE = 200;
/** Live rows that the history does not have yet; older ones are left to it. */
const MOST_FRESH = 1_000;
/** How often live rows are put in at most, and for how many times as long as that took nothing else is put in. */
const TAKE_MS = 250;
const REST = 10;

/** How live rows of a channel find their place in a list. */
export interface LiveRows<Row> {
  channel: string;
  key: (row: Row) => string;
  /** What is known of one row from two sides; the same whichever comes first and however often. */
  join: (one: Row, other: Row) => Row;
  /** Whether the endpoint would give it for this question. */
  passes: (row: Row, query: Query) => boolean;
  /** What the endpoint orders by, highest first. */
  rank: (row: Row, query: Query) => number;
}

export class List<Row> {
  more = $state.raw<Row[]>([]);
  next = $state<string | null>(null);
  loadingMore = $state(false);
  readonly first: Resource<Page<Row>>;
  private fresh = $state.raw<Map<string, Row>>(new Map());
  private taken: Row[] = [];
  private wait_ms = TAKE_MS;
  private taking: ReturnType<typeof setTimeout> | undefined;
  private asked = "";
  private readonly refill = new Refill(async () => {
    if (isPaused() || document.hidden) return true; // it is asked again when the socket opens
    await this.first.refresh();
    this.settle();
    return this.fresh.size === 0;
  });

  constructor(
    private readonly path: string,
    private readonly ask: () => Query,
    private readonly live?: LiveRows<Row>,
    /** Rows of a page; a list of less than a whole page never has more. */
    private readonly size = PAGE,
  ) {
    this.first = new Resource<Page<Row>>((signal) => this.load(signal));
  }

  readonly rows: Row[] = $derived.by(() => {
    const stored = [...(this.first.data?.rows ?? []), ...this.more];
    const { live, fresh } = this;
    if (!live || !fresh.size) return stored;
    const query = this.ask();
    const all = new Map(stored.map((row) => [live.key(row), row]));
    for (const [key, row] of fresh) {
      const known = all.get(key);
      const now = known ? live.join(known, row) : row;
      if (live.passes(now, query)) all.set(key, now);
    }
    const ranked = [...all.values()].sort((one, other) => live.rank(other, query) - live.rank(one, query));
    const last = stored.at(-1);
    // What ranks below the last row that is loaded has its place on a page that is not.
    const least = this.next && last ? live.rank(last, query) : -Infinity;
    const shown = ranked.filter((row) => live.rank(row, query) >= least);
    // The others are of a later page, which the history has.
    return shown.slice(0, Math.max(this.size, stored.length));
  });

  async goOn(): Promise<void> {
    if (!this.next || this.loadingMore) return;
    this.loadingMore = true;
    try {
      const page = await get<Page<Row>>(this.path, { ...this.ask(), limit: PAGE, cursor: this.next });
      this.more = [...this.more, ...page.rows];
      this.next = page.next ?? null;
    } finally {
      this.loadingMore = false;
    }
  }

  /** Call inside an effect: loads when what is asked changes, once the range is known. */
  watch(): (() => void) | undefined {
    this.ask();
    if (!days.known) return undefined;
    const stops = [this.first.watch()];
    if (this.live) {
      this.fresh = new Map();
      stops.push(
        follow<Row>(this.live.channel, (rows) => this.take(rows), () => this.refill.missed()),
        () => this.refill.stop(),
        () => {
          clearTimeout(this.taking);
          this.taking = undefined;
          this.taken = [];
        },
      );
    }
    return () => stops.forEach((stop) => stop());
  }

  /** As many rows as there were, when the same is asked again; else the first page. */
  private async load(signal: AbortSignal): Promise<Page<Row>> {
    const query = this.ask();
    const before = this.asked === JSON.stringify(query) ? (this.first.data?.rows.length ?? 0) + this.more.length : 0;
    const rows: Row[] = [];
    let next: string | null = null;
    do {
      const page: Page<Row> = await get(this.path, { ...query, limit: this.size, ...(next ? { cursor: next } : {}) }, signal);
      rows.push(...page.rows);
      next = page.next ?? null;
    } while (next && rows.length < before);
    this.asked = JSON.stringify(query);
    this.more = [];
    this.next = next;
    return { rows, next };
  }

  private take(rows: Row[]): void {
    this.taken.push(...rows);
    this.taking ??= setTimeout(() => void this.put(), this.wait_ms);
  }

  private async put(): Promise<void> {
    const live = this.live!;
    const fresh = new Map(this.fresh);
    this.taking = undefined;
    for (const row of this.taken.splice(0)) {
      const key = live.key(row);
      const known = fresh.get(key);
      fresh.delete(key);
      fresh.set(key, known ? live.join(known, row) : row);
    }
    for (const key of fresh.keys()) {
      if (fresh.size <= MOST_FRESH) break;
      fresh.delete(key);
    }
    const began = performance.now();
    this.fresh = fresh;
    this.refill.pushed();
    await tick();
    this.wait_ms = Math.max(TAKE_MS, REST * (performance.now() - began));
  }

  /** Let go of live rows that the history has by now, or that this list would not show. */
  private settle(): void {
    const live = this.live!;
    const stored = new Map((this.first.data?.rows ?? []).map((row) => [live.key(row), row]));
    const query = this.ask();
    const last = this.first.data?.rows.at(-1);
    const least = this.next && last ? live.rank(last, query) : -Infinity;
    const left = [...this.fresh].filter(([key, row]) => {
      const known = stored.get(key);
      const now = known ? live.join(known, row) : row;
      if (!live.passes(now, query) || live.rank(now, query) < least) return false;
      return !known || JSON.stringify(now) !== JSON.stringify(known);
    });
    this.fresh = new Map(left);
  }
}

/** A choice that stands in the address; without `options` it is typed. */
export interface ListFilter {
  name: string;
  label: string;
  options?: Record<string, string>;
}

/** A list that is asked for with the page's range and the filters that stand in its address. */
export function filtered<Row>(path: string, filters: ListFilter[], live?: LiveRows<Row>): List<Row> {
  return new List<Row>(path, () => ({ ...span(), ...Object.fromEntries(filters.map(({ name }) => [name, route.query[name] ?? ""])) }), live);
}
