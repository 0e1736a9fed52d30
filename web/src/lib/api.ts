/** Calls of the gateway's own endpoints: whatever the pages do, a script can. */

import { parseExact, writeExact } from "./exact";

export interface Problem {
  status: number;
  title: string;
  detail: string;
  reason: string;
  fields?: { field: string; description: string }[];
  retry_after_s?: number;
}

/** A call that was refused, or that never arrived (`status` 0). */
export class Refusal extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

export type Query = Record<string, string | number | boolean | string[] | null | undefined>;

let csrf = "";
let whenLoggedOut = () => {};

/** The session's CSRF token goes into every call that is not a plain read. */
export function useCsrf(token: string | null): void {
  csrf = token ?? "";
}

export function onLoggedOut(then: () => void): void {
  whenLoggedOut = then;
}

export function url(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const each = given.flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => [key, String(one)]));
  const text = new URLSearchParams(each).toString();
  return text ? `${path}?${text}` : path;
}

/** Calls that ClickHouse answers: the gateway takes two of one caller at once, so the others wait here. */
const HISTORY = /^\/api\/(stats|bandit|opportunities|decisions|labels|prices|pools|tokens)\b/;
const AT_ONCE = 2;
let underWay = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (underWay >= AT_ONCE) await new Promise<void>((go) => waiting.push(go));
  else underWay++;
  try {
    return await work();
  } finally {
    const following = waiting.shift();
    if (following) following();
    else underWay--;
  }
}

/** How often a read is asked that the gateway asks to wait with: it takes only so many of one caller at once. */
const TRIES = 5;
const LONGEST_WAIT_S = 10;

export async function patiently<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const wait_s = error instanceof Refusal && error.problem.status === 429 ? error.problem.retry_after_s : undefined;
      if (wait_s === undefined || wait_s > LONGEST_WAIT_S || tries === TRIES || signal?.aborted) throw error;
      await new Promise((go) => setTimeout(go, 1000 * wait_s));
    }
  }
}

async function call<T>(path: string, init: RequestInit, parse: (text: string) => unknown = JSON.parse): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal({
      status: 0,
      title: "Gateway unreachable",
      detail: "The gateway does not answer. Look at `mevflow policy status`, or start it: mevflow control start.",
      reason: "UNREACHABLE",
    });
  }
  if (response.status === 204) return undefined as T;
  const body: unknown = await response.text().then(parse).catch(() => null);
  if (response.ok) return body as T;
  if (response.status === 401) whenLoggedOut();
  const problem = (body ?? {}) as Partial<Problem>;
  throw new Refusal({
    status: response.status,
    title: problem.title ?? `HTTP ${response.status}`,
    detail: problem.detail ?? "The gateway refused without a reason.",
    reason: problem.reason ?? "",
    fields: problem.fields,
    retry_after_s: problem.retry_after_s,
  });
}

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const work = (): Promise<T> => call<T>(url(path, query), { method: "GET", signal });
  return patiently(() => (HISTORY.test(path) ? inTurn(work) : work()), signal);
}

/** A read whose integers stay exact, beyond 2^53 as bigints: payloads of commands bear amounts. */
export function getExact<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return patiently(() => call<T>(url(path, query), { method: "GET", signal }, parseExact), signal);
}

export function send<T>(verb: "POST" | "DELETE", path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = {};
  if (csrf) headers["x-csrf-token"] = csrf;
  if (body !== undefined) headers["content-type"] = "application/json";
  return call<T>(path, { method: verb, headers, body: body === undefined ? undefined : writeExact(body), signal }, parseExact);
}

/** Hand a bearer token in for a cookie. */
export function login(token: string): Promise<Who> {
  return call<Who>("/api/session", { method: "POST", headers: { authorization: `Bearer ${token}` } });
}

export interface Who {
  name: string;
  role: string;
  csrf: string | null;
}
