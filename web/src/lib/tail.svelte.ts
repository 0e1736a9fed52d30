/** A list of records that goes on where it ended: each call brings what came since, and nothing is lost or shown twice. */

import { get, Refusal, type Problem, type Query } from "./api";
import type { MessagePage, Row } from "./messages";

/** Rows that are kept; older ones give way, counted. */
const KEPT = 1_000;
const EVERY_MS = 1_000;

export class Tail {
  rows = $state.raw<Row[]>([]);
  page = $state.raw<MessagePage | undefined>();
  problem = $state<Problem | undefined>();
  following = $state(false);
  loading = $state(false);
  read = $state(0);
  undecodable = $state(0);
  /** Rows that gave way to newer ones. */
  gone = $state(0);
  private run = 0;

  constructor(
    private readonly path: () => string,
    private readonly ask: () => Query,
  ) {}

  /** Begin anew with what is asked now. */
  async begin(): Promise<void> {
    this.run++;
    this.rows = [];
    this.page = undefined;
    this.read = this.undecodable = this.gone = 0;
    await this.load(this.ask());
  }

  /** The following page. */
  async goOn(): Promise<void> {
    if (this.page && !this.loading) await this.load({ ...this.ask(), cursor: this.page.next });
  }

  /** Call inside an effect: follows while `following` is set. */
  watch(): () => void {
    const timer = setInterval(() => {
      if (this.following && !document.hidden) void this.goOn();
    }, EVERY_MS);
    return () => {
      clearInterval(timer);
      this.run++;
    };
  }

  private async load(query: Query): Promise<void> {
    const mine = this.run;
    this.loading = true;
    try {
      const page = await get<MessagePage>(this.path(), query);
      if (mine !== this.run) return;
      const rows = [...[...page.rows].reverse(), ...this.rows];
      this.gone += Math.max(0, rows.length - KEPT);
      this.rows = rows.slice(0, KEPT);
      this.read += page.read;
      this.undecodable += page.undecodable;
      this.page = this.page ? { ...page, skipped: this.page.skipped } : page;
      this.problem = undefined;
    } catch (error) {
      if (mine !== this.run || !(error instanceof Refusal)) return;
      this.problem = error.problem;
    } finally {
      this.loading = false;
    }
  }
}
