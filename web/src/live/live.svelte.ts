/** Live rows for the pages: one worker owns one socket, open while someone looks and neither pause nor a hidden tab. */

import { untrack } from "svelte";
import { isPaused } from "../lib/resource.svelte";
import type { LiveUpdate } from "./worker";

interface Follower {
  take: (rows: never[]) => void;
  /** Rows may have been missed: ask the history. */
  missed: () => void;
}

/** What the worker last said. `followed`: whether a page wants rows at all. */
export const live = $state({ state: "off" as LiveUpdate["state"], received: 0, dropped: 0, passed: 0, gaps: 0, followed: false });

const followers = new Map<string, Set<Follower>>();
let worker: Worker | undefined;

/** Take the rows of a channel until the returned function is called. */
export function follow<Row>(channel: string, take: (rows: Row[]) => void, missed: () => void): () => void {
  const follower: Follower = { take, missed };
  const those = followers.get(channel) ?? new Set();
  followers.set(channel, those.add(follower));
  untrack(steer); // whoever follows is not to begin anew at every pause
  return () => {
    those.delete(follower);
    if (!those.size) followers.delete(channel);
    untrack(steer);
  };
}

function steer(): void {
  live.followed = followers.size > 0;
  const wanted = isPaused() || document.hidden ? [] : [...followers.keys()].sort();
  if (!worker && wanted.length) {
    worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = (event: MessageEvent<LiveUpdate>) => told(event.data);
  }
  worker?.postMessage(wanted);
}

function told({ rows, ...said }: LiveUpdate): void {
  const missed = said.gaps > live.gaps;
  Object.assign(live, said);
  for (const [channel, those] of followers) {
    for (const follower of those) {
      if (rows[channel]?.length) follower.take(rows[channel] as never[]);
      if (missed) follower.missed();
    }
  }
}

document.addEventListener("visibilitychange", steer);
$effect.root(() => {
  $effect(steer);
});
