/** JSON whose integers stay exact: beyond 2^53 they are bigints, read from the text and written as they are. */

interface Source {
  source?: string;
}
const raw = (JSON as unknown as { rawJSON?: (text: string) => unknown }).rawJSON;

/** Throws SyntaxError like JSON.parse. A browser that does not tell a number's own text gives numbers only. */
export function parseExact(text: string): unknown {
  const revive = (_: string, value: unknown, context?: Source): unknown =>
    typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) && raw && /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context!.source!)
      : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

export function writeExact(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? raw!(String(each)) : each), indent);
}
