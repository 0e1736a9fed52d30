/** Who is logged in, and what the role allows. */

import { get, onLoggedOut, Refusal, send, useCsrf, type Who } from "./api";

const ROLES = ["viewer", "operator", "risk", "admin"];

export const session: { who: Who | null; state: "asking" | "in" | "out" | "unreachable" } = $state({
  who: null,
  state: "asking",
});

export async function ask(): Promise<void> {
  try {
    entered(await get<Who>("/api/session"));
  } catch (error) {
    session.state = error instanceof Refusal && error.problem.status === 401 ? "out" : "unreachable";
  }
}

export function entered(who: Who): void {
  useCsrf(who.csrf);
  session.who = who;
  session.state = "in";
}

export async function leave(): Promise<void> {
  await send("DELETE", "/api/session").catch(() => {});
  session.state = "out";
}

/** Why a button may not be pressed; nothing when it may. */
export function lacks(role: string): string {
  const mine = session.who?.role ?? "";
  return ROLES.indexOf(mine) >= ROLES.indexOf(role) ? "" : `needs the role ${role}; you are ${mine || "nobody"}`;
}

onLoggedOut(() => {
  session.state = "out";
});
