/** What a button does: one thing at a time, and what the service has against it is shown. */

import { Refusal, type Problem } from "./api";

export class Attempt {
  busy = $state(false);
  problem = $state<Problem | undefined>();

  /** Do the work; a refusal becomes `problem`, anything else is a fault of the page and is thrown. */
  async run(work: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.problem = undefined;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.problem = error.problem;
    } finally {
      this.busy = false;
    }
  }
}
