/** The newest messages of each channel in batches as they came: what is overwritten was never taken apart. */

import { WireReader } from "./wire";

/** Field 2 of RealtimeBatch: a message; field 3: how many the hub dropped for this client. */
const [MESSAGE, DROPPED] = [18, 24];
const TEXT = new TextDecoder();

/** Of one channel: a ring of places in batches, so that a message which gives way costs nothing. */
class Ring {
  private readonly batches: Uint8Array[] = [];
  private readonly places: [starts: number[], ends: number[]] = [[], []];
  private count = 0;

  constructor(
    readonly name: Uint8Array,
    private readonly most: number,
  ) {}

  put(batch: Uint8Array, start: number, end: number): void {
    const at = this.count++ % this.most;
    this.batches[at] = batch;
    this.places[0][at] = start;
    this.places[1][at] = end;
  }

  /** What there is, oldest first, and how many gave way. */
  take(): { messages: Uint8Array[]; passed: number } {
    const passed = Math.max(0, this.count - this.most);
    const messages = Array.from({ length: this.count - passed }, (_, index) => {
      const at = (passed + index) % this.most;
      return this.batches[at]!.subarray(this.places[0][at], this.places[1][at]);
    });
    this.count = 0;
    this.batches.length = 0;
    return { messages, passed };
  }
}

export class Newest {
  private readonly rings: Ring[] = [];

  /** `most` messages of a channel are kept until they are taken. */
  constructor(private readonly most: number) {}

  /** One RealtimeBatch: how many messages it bore, and how many the hub says that it dropped. */
  add(batch: Uint8Array): { received: number; dropped: number } {
    const reader = new WireReader(batch);
    let [received, dropped] = [0, 0];
    let ring: Ring | undefined;
    while (reader.at < reader.end) {
      const head = reader.varint();
      if (head === MESSAGE) {
        const size = reader.varint();
        const end = reader.at + size;
        if (end > reader.end) throw new RangeError("a message is cut off");
        ring = ring && named(batch, reader.at, ring.name) ? ring : this.of(batch, reader.at, end);
        ring.put(batch, reader.at, end);
        received++;
        reader.at = end;
      } else if (head === DROPPED) dropped += reader.varint();
      else reader.skip(head & 7);
    }
    return { received, dropped };
  }

  /** What is kept, by channel, oldest first; nothing is kept any more. */
  take(): { channel: string; messages: Uint8Array[]; passed: number }[] {
    return this.rings.map((ring) => ({ channel: TEXT.decode(ring.name), ...ring.take() }));
  }

  private of(batch: Uint8Array, at: number, end: number): Ring {
    // The channel is field 1, which the hub writes first; a message without one is of the channel without a name.
    const reader = new WireReader(batch, at, end);
    const name = end > at && reader.varint() === 10 ? reader.bytes() : new Uint8Array();
    const known = this.rings.find((ring) => ring.name.length === name.length && ring.name.every((octet, index) => octet === name[index]));
    if (known) return known;
    const ring = new Ring(name.slice(), this.most);
    this.rings.push(ring);
    return ring;
  }
}

/** Whether the message at `at` begins with this channel's name. */
function named(batch: Uint8Array, at: number, name: Uint8Array): boolean {
  if (batch[at] !== 10 || batch[at + 1] !== name.length) return false;
  for (let index = 0; index < name.length; index++) if (batch[at + 2 + index] !== name[index]) return false;
  return true;
}
