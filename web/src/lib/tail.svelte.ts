/**
 * A list of records that goes on where it ended, by pages or as they come: nothing is lost or shown twice. What comes is
 * pushed by `/api/messages/{topic}/ws`; after a stop, a hidden tab or a lost connection it goes on at the same cursor.
 */

import { get, Refusal, url, type Problem, type Query } from "./api";
import type { LiveFrame, MessagePage, Row } from "./messages";

/** Rows that are kept; older ones give way, counted. */
const KEPT = 1_000;
const RETRY_MS = [500, 1_000, 2_000, 5_000];

export class Tail {
  rows = $state.raw<Row[]>([]);
  page = $state.raw<MessagePage | undefined>();
  problem = $state<Problem | undefined>();
  /** Whether records are wanted as they come; `connected`: whether they do. */
  following = $state(false);
  connected = $state(false);
  loading = $state(false);
  read = $state(0);
  matched = $state(0);
  /** Records that pass the filter and are not shown, since more came than are wanted; that nobody looked at. */
  sampled = $state(0);
  dropped = $state(0);
  undecodable = $state(0);
  /** Rows that gave way to newer ones. */
  gone = $state(0);
  private run = 0;

  constructor(
    private readonly path: () => string,
    private readonly ask: () => Query,
    private readonly pace: () => { rate: number; every: boolean },
  ) {}

  /** Begin anew with what is asked now. */
  async begin(): Promise<void> {
    this.run++;
    this.rows = [];
    this.page = undefined;
    this.read = this.matched = this.sampled = this.dropped = this.undecodable = this.gone = 0;
    await this.load(this.ask());
  }

  /** The following page. */
  async goOn(): Promise<void> {
    if (this.page && !this.loading) await this.load({ ...this.ask(), cursor: this.page.next });
  }

  /** Call inside an effect that reads what matters: records come until the effect ends, unless the tab is hidden. */
  follow(): () => void {
    let socket: WebSocket | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let tries = 0;
    const connect = (): void => {
      clearTimeout(retry);
      if (!this.page || document.hidden) return;
      const { schema, partition, pool, text, where } = this.ask();
      const asked = { schema, partition, pool, text, where, cursor: this.page.next, ...this.pace() };
      const mine = (socket = new WebSocket(location.origin.replace(/^http/, "ws") + url(`${this.path()}/ws`, asked)));
      mine.onmessage = (event: MessageEvent<string>) => {
        if (socket !== mine) return;
        tries = 0;
        this.connected = true;
        this.take(JSON.parse(event.data) as LiveFrame);
      };
      mine.onclose = () => {
        if (socket !== mine) return;
        this.connected = false;
        retry = setTimeout(connect, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
      };
    };
    const stop = (): void => {
      clearTimeout(retry);
      const old = socket;
      socket = undefined;
      old?.close();
      this.connected = false;
    };
    const seen = (): void => (document.hidden ? stop() : connect());
    document.addEventListener("visibilitychange", seen);
    connect();
    return () => {
      document.removeEventListener("visibilitychange", seen);
      stop();
    };
  }

  private take(frame: LiveFrame): void {
    this.add(frame.rows);
    this.read += frame.received;
    this.matched += frame.matched;
    this.sampled += frame.sampled;
    this.dropped += frame.dropped;
    this.undecodable += frame.undecodable;
    // Partitions that the page did not know are there from now on.
    this.page = { ...this.page!, next: frame.next, behind: frame.behind };
  }

  private add(found: Row[]): void {
    if (!found.length) return;
    // Of several partitions: by time, and as they lie in the log where that is the same.
    const rows = [...[...found].reverse().sort((one, other) => other.timestamp_us - one.timestamp_us), ...this.rows];
    this.gone += Math.max(0, rows.length - KEPT);
    this.rows = rows.slice(0, KEPT);
  }

  private async load(query: Query): Promise<void> {
    const mine = this.run;
    this.loading = true;
    try {
      const page = await get<MessagePage>(this.path(), query);
      if (mine !== this.run) return;
      this.add(page.rows);
      this.read += page.read;
      this.matched += page.shown;
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
