/** Something that is loaded, and loaded again while it is looked at. */

import { Refusal, type Problem } from "./api";

/** After so long without a good answer what is shown is called stale. */
const STALE_MS = 5_000;
const clock = $state({ now: Date.now(), paused: false });
setInterval(() => (clock.now = Date.now()), 1_000);

export function pause(): boolean {
  return (clock.paused = !clock.paused);
}

export function isPaused(): boolean {
  return clock.paused;
}

export class Resource<T> {
  data = $state.raw<T | undefined>();
  problem = $state.raw<Problem | undefined>();
  loading = $state(false);
  private loadedAt = $state(0);
  private run = 0;
  private stop: AbortController | undefined;

  constructor(
    private readonly load: (signal: AbortSignal) => Promise<T>,
    private readonly everyMs = 0,
  ) {}

  /** Seconds since what is shown came, once it is older than it should be; else 0. */
  get staleS(): number {
    if (!this.everyMs || !this.loadedAt || (!this.problem && clock.paused)) return 0;
    const age = clock.now - this.loadedAt;
    return age > this.everyMs + STALE_MS ? Math.round(age / 1000) : 0;
  }

  /** Load now. An earlier load that is still under way is given up. */
  async refresh(): Promise<void> {
    const mine = ++this.run;
    this.stop?.abort();
    this.stop = new AbortController();
    this.loading = true;
    try {
      const found = await this.load(this.stop.signal);
      if (mine !== this.run) return;
      this.data = found;
      this.problem = undefined;
      this.loadedAt = Date.now();
    } catch (error) {
      if (mine !== this.run || (error instanceof DOMException && error.name === "AbortError")) return;
      this.problem =
        error instanceof Refusal
          ? error.problem
          : { status: 0, title: "The page failed", detail: String(error), reason: "PAGE" };
    } finally {
      if (mine === this.run) this.loading = false;
    }
  }

  /** Call inside an effect: loads at once, and again every so often until the effect ends. */
  watch(): () => void {
    void this.refresh();
    const timer = this.everyMs
      ? setInterval(() => {
          if (!this.loading && !clock.paused && !document.hidden) void this.refresh();
        }, this.everyMs)
      : undefined;
    return () => {
      clearInterval(timer);
      this.stop?.abort();
    };
  }
}
