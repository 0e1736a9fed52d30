/**
 * The worker that owns the WebSocket of live messages: it connects, connects again, and hands the page at most thirty
 * updates a second, four in a flood, with the newest rows of each channel. What it cannot hand over it counts, so that
 * the page asks the history for it.
 */

import { Newest } from "./newest";
import { decision, episode } from "./rows";
import { read } from "./wire";

export interface LiveUpdate {
  state: "off" | "connecting" | "live" | "waiting";
  /** Messages that arrived; that the hub says it dropped for us; that were left out here because too many came. */
  received: number;
  dropped: number;
  passed: number;
  /** How often rows may have been missed: by each connection's beginning, by drops, and by what was left out. */
  gaps: number;
  rows: Record<string, unknown[]>;
}

const UPDATE_MS = 33;
/** While more comes than thirty updates a second could bear: nobody reads faster, and the page has more to draw. */
const FLOOD_MS = 250;
/** Rows of one channel in one update. */
const MOST = 100;
const RETRY_MS = [500, 1_000, 2_000, 5_000];
const READ: Record<string, (payload: Uint8Array) => unknown> = { "mevflow.v1.Opportunity": episode, "mevflow.v1.Decision": decision };
const MESSAGE = { 2: ["payload", "bytes"], 5: ["type", "text"] } as const;

let channels: string[] = [];
let socket: WebSocket | undefined;
let tries = 0;
let retry: ReturnType<typeof setTimeout> | undefined;
let due: ReturnType<typeof setTimeout> | undefined;
let flooded = false;
let updated_ms = 0;
const newest = new Newest(MOST);
const said: LiveUpdate = { state: "off", received: 0, dropped: 0, passed: 0, gaps: 0, rows: {} };

onmessage = (event: MessageEvent<string[]>) => {
  const before = channels.join();
  channels = event.data;
  if (channels.join() === before && (socket || retry)) return;
  clearTimeout(retry);
  retry = undefined;
  tries = 0;
  close();
  if (channels.length) connect();
  else tell("off");
};

function close(): void {
  const old = socket;
  socket = undefined;
  old?.close();
}

function connect(): void {
  tell("connecting");
  const mine = (socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/realtime/ws?channels=${channels.join()}`));
  mine.binaryType = "arraybuffer";
  mine.onmessage = (event: MessageEvent<ArrayBuffer>) => {
    if (socket === mine) take(new Uint8Array(event.data));
  };
  mine.onclose = () => {
    if (socket !== mine) return;
    socket = undefined;
    tell("waiting");
    retry = setTimeout(connect, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
  };
}

/** One RealtimeBatch. The first of a connection is empty: the filter is in force, and what comes from now on arrives. */
function take(data: Uint8Array): void {
  if (said.state !== "live") {
    tries = 0;
    said.gaps++;
    tell("live");
  }
  const { received, dropped } = newest.add(data);
  said.received += received;
  said.dropped += dropped;
  if (dropped) said.gaps++;
  due ??= setTimeout(update, flooded ? FLOOD_MS : UPDATE_MS);
}

function update(): void {
  due = undefined;
  const rows: Record<string, unknown[]> = {};
  const bearable = (MOST * (performance.now() - updated_ms)) / UPDATE_MS;
  updated_ms = performance.now();
  flooded = false;
  for (const { channel, messages, passed } of newest.take()) {
    if (messages.length) rows[channel] = messages.flatMap(readable);
    said.passed += passed;
    if (passed) said.gaps++;
    flooded ||= passed > 0 && passed + messages.length > bearable;
  }
  postMessage({ ...said, rows });
}

function readable(message: Uint8Array): unknown[] {
  try {
    const { type, payload } = read(message, MESSAGE as never) as { type: string; payload: Uint8Array };
    return type in READ ? [READ[type]!(payload)] : [];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    said.passed++;
    return [];
  }
}

function tell(state: LiveUpdate["state"]): void {
  said.state = state;
  clearTimeout(due);
  update();
}
