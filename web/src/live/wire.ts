/** Protobuf's wire form, as much of it as live rows need: a message's fields by number, read into a plain object. */

export type Kind = "whole" | "double" | "bool" | "text" | "hex" | "bytes";
/** By number: a field's name and kind; `many` of a message of its own. A field that is not listed is passed over. */
export type Fields = Record<number, [name: string, kind: Kind | { many: Fields } | "texts" | "addresses"]>;

const TEXT = new TextDecoder();

/** Walks the fields of one message. Throws RangeError where the bytes end too soon. */
export class WireReader {
  private readonly view: DataView;
  constructor(
    readonly data: Uint8Array,
    public at = 0,
    readonly end = data.length,
  ) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  /** A varint as a number: exact up to 2^53, which times in microseconds and slots are below. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      if (this.at >= this.end) throw new RangeError("a varint is cut off");
      const octet = this.data[this.at++]!;
      value += (octet & 0x7f) * scale;
      if (octet < 0x80) return value;
      scale *= 128;
    }
    throw new RangeError("a varint is too long");
  }

  bytes(): Uint8Array {
    const size = this.varint();
    if (this.at + size > this.end) throw new RangeError("a field is cut off");
    this.at += size;
    return this.data.subarray(this.at - size, this.at);
  }

  double(): number {
    const value = this.view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  skip(wire: number): void {
    if (wire === 0) this.varint();
    else if (wire === 2) this.bytes();
    else if (wire === 1 || wire === 5) this.at += wire === 1 ? 8 : 4;
    else throw new RangeError(`wire type ${wire}`);
  }
}

/** The listed fields of a message; those that are not set have proto3's defaults. */
export function read(data: Uint8Array, fields: Fields): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [name, kind] of Object.values(fields)) found[name] = nothing(kind);
  const reader = new WireReader(data);
  while (reader.at < reader.end) {
    const head = reader.varint();
    const field = fields[Math.floor(head / 8)];
    const wire = head & 7;
    if (!field) {
      reader.skip(wire);
      continue;
    }
    const [name, kind] = field;
    if (kind === "whole") found[name] = reader.varint();
    else if (kind === "bool") found[name] = reader.varint() !== 0;
    else if (kind === "double") found[name] = reader.double();
    else {
      const bytes = reader.bytes();
      if (kind === "text") found[name] = TEXT.decode(bytes);
      else if (kind === "hex") found[name] = hex(bytes);
      else if (kind === "bytes") found[name] = bytes;
      else if (kind === "texts") (found[name] as unknown[]).push(TEXT.decode(bytes));
      else if (kind === "addresses") (found[name] as unknown[]).push(bytes);
      else (found[name] as unknown[]).push(read(bytes, kind.many));
    }
  }
  return found;
}

function nothing(kind: Fields[number][1]): unknown {
  if (kind === "whole" || kind === "double") return 0;
  if (kind === "bool") return false;
  if (kind === "text" || kind === "hex") return "";
  return kind === "bytes" ? new Uint8Array() : [];
}

export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const each of bytes) text += each.toString(16).padStart(2, "0");
  return text;
}

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** An address as its chain writes it: base58 on Solana (number 1), else 0x and hex. */
export function address(bytes: Uint8Array, chain: number): string {
  if (chain > 1) return `0x${hex(bytes)}`;
  let number = 0n;
  for (const each of bytes) number = number * 256n + BigInt(each);
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  let zeros = 0;
  while (zeros < bytes.length && bytes[zeros] === 0) zeros++;
  return "1".repeat(zeros) + text;
}

/** A chain's number as its name, as `operators/chains.py` has it. */
const CHAIN_NAMES: Record<number, string> = { 1: "solana", 2: "ethereum", 56: "bsc", 137: "polygon", 8453: "base", 42161: "arbitrum" };

export function chainName(number: number): string {
  return CHAIN_NAMES[number] ?? (number > 0 ? `evm-${number}` : "unspecified");
}
