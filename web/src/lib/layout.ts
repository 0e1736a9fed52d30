/**
 * Where the nodes of a topology stand and how the lines between them run: layers from left to right. A line that passes
 * a layer has a lane of its own there, what is rejected below the nodes and the rest above them.
 */

export interface Edge {
  from: string;
  from_port: string;
  to: string;
  to_port: string;
}

export interface Box {
  x: number;
  y: number;
  high: number;
}

export interface Line<E extends Edge> {
  edge: E;
  path: string;
  /** Where the line leaves its port. */
  x: number;
  y: number;
  /** The first line of its port, which bears the port's label. */
  first: boolean;
}

export interface Layout<E extends Edge> {
  boxes: Map<string, Box>;
  lines: Line<E>[];
  width: number;
  height: number;
}

export const WIDE = 138;
const [HIGH, PORT, LANE, GAP_X, GAP_Y, EDGE] = [62, 16, 8, 58, 14, 8];

export function layout<E extends Edge>(names: string[], edges: E[]): Layout<E> {
  const known = edges.filter((edge) => names.includes(edge.from) && names.includes(edge.to));
  const layer = layers(names, known);
  const ports = new Map(names.map((name) => [name, [...new Set(known.filter((edge) => edge.from === name).map((edge) => edge.from_port))]]));
  const columns = Math.max(0, ...layer.values()) + 1;
  const boxes = new Map<string, Box>();
  const lanes: Map<string, number>[] = [];
  let height = 0;
  for (let column = 0; column < columns; column++) {
    const passing = known.filter((edge) => layer.get(edge.from)! < column && column < layer.get(edge.to)!);
    const [above, below] = [false, true].map((rejected) => [...new Set(passing.filter((edge) => rejects(edge) === rejected).map(lane))]);
    const here = new Map<string, number>();
    let y = EDGE;
    for (const each of above!) here.set(each, (y += LANE));
    if (above!.length) y += LANE;
    for (const name of names.filter((each) => layer.get(each) === column)) {
      const high = Math.max(HIGH, PORT * (ports.get(name)!.length + 1));
      boxes.set(name, { x: EDGE + column * (WIDE + GAP_X), y, high });
      y += high + GAP_Y;
    }
    for (const each of below!) here.set(each, (y += LANE));
    lanes.push(here);
    height = Math.max(height, y);
  }
  const seen = new Set<string>();
  const lines = known.map((edge) => {
    const [from, to] = [boxes.get(edge.from)!, boxes.get(edge.to)!];
    const out = ports.get(edge.from)!;
    const [x, y] = [from.x + WIDE, from.y + (from.high * (out.indexOf(edge.from_port) + 1)) / (out.length + 1)];
    let [path, at] = [`M${x} ${y}`, { x, y }];
    const go = (next: { x: number; y: number }, along: number): void => {
      path += `C${at.x + GAP_X / 2} ${at.y} ${next.x - GAP_X / 2} ${next.y} ${next.x} ${next.y}${along ? `h${along}` : ""}`;
      at = { x: next.x + along, y: next.y };
    };
    for (let column = layer.get(edge.from)! + 1; column < layer.get(edge.to)!; column++) {
      go({ x: EDGE + column * (WIDE + GAP_X), y: lanes[column]!.get(lane(edge))! }, WIDE);
    }
    go({ x: to.x, y: to.y + to.high / 2 }, 0);
    const port = `${edge.from}.${edge.from_port}`;
    const first = !seen.has(port);
    seen.add(port);
    return { edge, path, x, y, first };
  });
  return { boxes, lines, width: columns * (WIDE + GAP_X) - GAP_X + 2 * EDGE, height: height + EDGE };
}

/** Each node one layer after the last that it reads; a cycle ends after as many rounds as there are nodes. */
function layers(names: string[], edges: Edge[]): Map<string, number> {
  const layer = new Map(names.map((name) => [name, 0]));
  for (let round = 0; round < names.length; round++) {
    for (const { from, to } of edges) layer.set(to, Math.min(names.length - 1, Math.max(layer.get(to)!, layer.get(from)! + 1)));
  }
  return layer;
}

const lane = (edge: Edge): string => `${edge.from}>${edge.to}${rejects(edge)}`;
const rejects = (edge: Edge): boolean => edge.from_port === "errors";
