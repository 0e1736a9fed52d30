/** A result as a chart or a file: its first column says what each row is of, a column of numbers how much. */

import { writeExact } from "./exact";
import type { Found } from "./queries.svelte";

export interface Point {
  /** Microseconds, where the first column is a time. */
  at_us: number | null;
  label: string;
  value: number;
}

const inner = (type: string): string => type.replace(/^(?:Nullable|LowCardinality)\((.*)\)$/, "$1");

export function isNumeric(type: string): boolean {
  return /^(U?Int|Float|Decimal)/.test(inner(type));
}

/** Columns after the first that can be drawn. */
export function drawable({ columns }: Found): string[] {
  return columns.slice(1).filter((column) => isNumeric(column.type)).map((column) => column.name);
}

/** The rows whose value is known. Times are those of UTC, as the endpoint answers them. */
export function points(found: Found, name: string): Point[] {
  const at = found.columns.findIndex((column) => column.name === name);
  const timed = /^Date/.test(inner(found.columns[0]?.type ?? ""));
  return found.rows.flatMap((row) => {
    const [first, value] = [row[0], Number(row[at])];
    if (row[at] === null || !Number.isFinite(value)) return [];
    const ms = timed ? Date.parse(`${String(first).replace(" ", "T")}${String(first).includes(":") ? "Z" : "T00:00Z"}`) : NaN;
    return [{ at_us: Number.isFinite(ms) ? 1000 * ms : null, label: first === null ? "NULL" : String(first), value }];
  });
}

/** RFC 4180, with the column names first; NULL is `\N`, as ClickHouse writes it. */
export function csv({ columns, rows }: Found): string {
  const field = (cell: unknown): string => {
    if (cell === null) return "\\N";
    const text = typeof cell === "object" ? writeExact(cell) : String(cell);
    return /[",\r\n]/.test(text) || text === "\\N" ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map((column) => column.name), ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}
