/** A list that goes on by its cursor: the first page is loaded again when what is asked changes. */

import { get, type Query } from "./api";
import type { Page } from "./history";
import { Resource } from "./resource.svelte";

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
}
