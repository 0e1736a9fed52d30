/** The range of time that is looked at: live ones that end now, recorded days by name, or one of the user's own. */

import { get } from "./api";
import { time } from "./format";
import { choose, route } from "./route.svelte";

export interface Day {
  day: string;
  chain: string;
  from_us: number;
  to_us: number;
  swaps: number;
}

const LIVE: Record<string, [string, number]> = {
  "15m": ["Last 15 minutes", 900],
  "1h": ["Last hour", 3_600],
  "24h": ["Last 24 hours", 86_400],
  "7d": ["Last 7 days", 604_800],
};
const DAY_US = 86_400_000_000;
const DAYS_MS = 30_000;

export const days: { rows: Day[]; known: boolean } = $state({ rows: [], known: false });

async function load(): Promise<void> {
  try {
    days.rows = (await get<{ rows: Day[] }>("/api/stats/days")).rows;
    days.known = true;
  } catch {
    // the panels say what is wrong; the live ranges stay
    days.known = true;
  }
}

export function watchDays(): () => void {
  void load();
  const timer = setInterval(() => void load(), DAYS_MS);
  return () => clearInterval(timer);
}

/** What the picker offers, newest day first. */
export function offered(): { value: string; label: string }[] {
  const names = [...new Set(days.rows.map((row) => row.day))];
  const recorded = names.map((day) => ({
    value: `day:${day}`,
    label: `Day ${day} (${days.rows.filter((row) => row.day === day).map((row) => row.chain).join(", ")})`,
  }));
  const live = Object.entries(LIVE).map(([value, [label]]) => ({ value, label }));
  const found = [...recorded, { value: "all", label: "Everything stored" }, ...live];
  const now = current();
  if (!found.some((each) => each.value === now)) found.unshift({ value: now, label: named(now) });
  return found;
}

/** A range that is not offered: a day by its name, one of the user's own by its ends. */
function named(range: string): string {
  const own = window_(range);
  return range.startsWith("day:") || !own ? range.replace(/^day:/, "Day ") : `${time(own.from_us)} to ${time(own.to_us)}`;
}

/** The range in the URL; without one the newest recorded day, so that there is something to see. */
export function current(): string {
  const given = route.query.range ?? "";
  if (given in LIVE || given === "all" || window_(given)) return given;
  return days.rows[0] ? `day:${days.rows[0].day}` : "all";
}

export function isLive(): boolean {
  return current() in LIVE;
}

function window_(text: string): { from_us: number; to_us: number } | null {
  const day = /^day:(\d{4}-\d\d-\d\d)$/.exec(text)?.[1];
  if (day) {
    const from_us = Date.parse(`${day}T00:00:00Z`) * 1000;
    return Number.isFinite(from_us) ? { from_us, to_us: from_us + DAY_US } : null;
  }
  const own = /^(\d{1,17})-(\d{1,17})$/.exec(text);
  return own ? { from_us: Number(own[1]), to_us: Number(own[2]) } : null;
}

/** Parameters of the endpoints that take a range and a chain. */
export function span(): { from_us?: number; to_us?: number; chain?: string } {
  const text = current();
  const chain = route.query.chain ? { chain: route.query.chain } : {};
  const live = LIVE[text];
  if (live) return { ...chain, from_us: (Math.floor(Date.now() / 1000) - live[1]) * 1_000_000 };
  return { ...chain, ...(window_(text) ?? {}) };
}

export function pick(range: string): void {
  choose({ range }, false);
}
