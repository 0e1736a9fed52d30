/** What differs between two payloads, by field; the plan of the gateway tells the same of a payload and what is in force. */

import { writeExact } from "./exact";
import { isRecord } from "./schema";

export interface Change {
  path: string;
  op: "add" | "remove" | "replace";
  before: unknown;
  after: unknown;
}

export function changes(before: unknown, after: unknown, path = ""): Change[] {
  if (isRecord(before) && isRecord(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((name): Change[] => {
      const here = `${path}/${name}`;
      if (!(name in after)) return [{ path: here, op: "remove", before: before[name], after: null }];
      if (!(name in before)) return [{ path: here, op: "add", before: null, after: after[name] }];
      return changes(before[name], after[name], here);
    });
  }
  return writeExact(before) === writeExact(after) ? [] : [{ path, op: "replace", before, after }];
}
