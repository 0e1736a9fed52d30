/**
 * When the history is asked again: at once when rows may have been missed, and after what was pushed until the history
 * has it too. While nothing is pushed nothing is asked.
 */

const FIRST_MS = 3_000;
const MOST_MS = 60_000;
/** The sinks write what a stage gave within an epoch: so often it is asked after rows may have been missed. */
const ROUNDS = 2;

export class Refill {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wait = FIRST_MS;
  private rounds = 0;
  private run = 0;
  private asked = 0;

  /** `load` asks the history and says whether it has all that was pushed. */
  constructor(private readonly load: () => Promise<boolean>) {}

  pushed(): void {
    this.timer ??= setTimeout(() => void this.round(), this.wait);
  }

  /** At once, unless it was asked just now: a flood misses rows with every update. */
  missed(): void {
    this.rounds = ROUNDS;
    if (Date.now() - this.asked < FIRST_MS) this.pushed();
    else {
      this.stop();
      void this.round();
    }
  }

  stop(): void {
    this.run++;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.wait = FIRST_MS;
  }

  private async round(): Promise<void> {
    const mine = this.run;
    this.asked = Date.now();
    const settled = await this.load();
    if (mine !== this.run) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    if (settled && this.rounds-- <= 0) {
      this.stop();
      return;
    }
    this.timer = setTimeout(() => void this.round(), this.wait);
    this.wait = Math.min(MOST_MS, 2 * this.wait);
  }
}
