/** A list that goes on by its cursor: the first page is loaded again when what is asked changes. */

import { get, type Query } from "./api";
import type { Page } from "./history";
import { days, span } from "./ranges.svelte";
import { Resource } from "./resource.svelte";
import { route } from "./route.svelte";

const PAGE = 200;

export class List<Row> {
  more = $state.raw<Row[]>([]);
  next = $state<string | null>(null);
  loadingMore = $state(false);
  readonly first: Resource<Page<Row>>;

  constructor(
    private readonly path: string,
    private readonly ask: () => Query,
  ) {
    this.first = new Resource<Page<Row>>(async (signal) => {
      const page = await get<Page<Row>>(path, { ...ask(), limit: PAGE }, signal);
      this.more = [];
      this.next = page.next ?? null;
      return page;
    });
  }

  get rows(): Row[] {
    return [...(this.first.data?.rows ?? []), ...this.more];
  }

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
    return days.known ? this.first.watch() : undefined;
  }
}

/** A choice that stands in the address; without `options` it is typed. */
export interface ListFilter {
  name: string;
  label: string;
  options?: Record<string, string>;
}

/** A list that is asked for with the page's range and the filters that stand in its address. */
export function filtered<Row>(path: string, filters: ListFilter[]): List<Row> {
  return new List<Row>(path, () => ({ ...span(), ...Object.fromEntries(filters.map(({ name }) => [name, route.query[name] ?? ""])) }));
}
