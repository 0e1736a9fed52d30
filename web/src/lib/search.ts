/** Where a text leads: a decision's id, a pool's address or a record's coordinates open the page that shows it. */

import { href } from "./route.svelte";

export function find(text: string): string {
  const given = text.trim();
  if (/^[0-9a-f]{32}$/i.test(given)) return href("decisions", given.toLowerCase());
  if (/^0x[0-9a-f]{40}$/i.test(given) || /^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(given)) return href("opportunities", "", { pool: given });
  const record = /^([A-Za-z0-9._-]+)\[(\d+)\]@(\d+)$/.exec(given);
  if (record) return href("messages", record[1], { at: `${record[2]}:${record[3]}` });
  return "";
}
