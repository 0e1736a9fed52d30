/** Numbers, amounts, addresses and times as people read them. What is not known is an en dash, never zero. */

export const UNKNOWN = "–";

export function count(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  return typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 0 }) : grouped(value);
}

export function rows(value: number | null | undefined): string {
  return `${count(value)} ${value === 1 ? "row" : "rows"}`;
}

function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

export function number(value: number | null | undefined, digits = 2): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
}

/** With a sign: a gain or a loss is never told by colour alone. */
export function signed(value: number | null | undefined, digits = 2): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const text = number(Math.abs(value), digits);
  return value > 0 ? `+${text}` : value < 0 ? `−${text}` : text;
}

/** Three digits at most, where there is little room. */
export function compact(value: number): string {
  const units = ["", " k", " M", " G"];
  let unit = 0;
  for (; Math.abs(value) >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${number(value, value && Math.abs(value) < 9.95 ? 1 : 0)}${units[unit]}`;
}

export function percent(share: number | null | undefined, digits = 1): string {
  return share === null || share === undefined ? UNKNOWN : `${number(100 * share, digits)} %`;
}

/** A raw integer in the token's own units, exactly; the raw integer itself where its decimals are not known. */
export function amount(raw: string, decimals: number | null | undefined, shown = 6): string {
  if (!/^-?\d+$/.test(raw)) return raw || UNKNOWN;
  const sign = raw.startsWith("-") ? "−" : "";
  const digits = raw.replace("-", "");
  if (decimals === null || decimals === undefined) return `${sign}${grouped(digits)} raw`;
  const padded = digits.padStart(decimals + 1, "0");
  const whole = padded.slice(0, padded.length - decimals);
  const fraction = decimals ? padded.slice(-decimals).slice(0, shown).replace(/0+$/, "") : "";
  if (whole === "0" && !fraction && /[1-9]/.test(digits)) return `${sign}<0.${"0".repeat(shown - 1)}1`;
  return `${sign}${grouped(whole)}${fraction ? `.${fraction}` : ""}`;
}

export function short(address: string): string {
  return address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address;
}

export function time(us: number | null | undefined, withDay = true): string {
  if (us === null || us === undefined) return UNKNOWN;
  const text = new Date(us / 1000).toISOString();
  return withDay ? `${text.slice(0, 10)} ${text.slice(11, 19)} UTC` : `${text.slice(11, 19)} UTC`;
}

export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined || value < 0) return UNKNOWN;
  if (value < 1) return `${number(1000 * value, 0)} ms`;
  if (value < 120) return `${number(value, 1)} s`;
  return value < 7200 ? `${number(value / 60, 0)} min` : `${number(value / 3600, 1)} h`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${number(value, unit ? 1 : 0)} ${units[unit]}`;
}

export const CHAINS: Record<string, string> = { ethereum: "Ethereum", solana: "Solana" };

/** What turns the order in which text around it is written. */
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A symbol, which anybody may choose: it neither turns nor joins the text beside it. */
export function symbol(text: string): string {
  return /^[ -~]*$/.test(text) ? text : `\u2068${text.replace(TURNS, "\ufffd")}\u2069`;
}

/** The tokens of a cycle in their order. */
export function cycle(path: string): string {
  return path.split(" > ").map(symbol).join(" → ");
}
