/** The URL is the state: page, id and every choice stand in it, so that each view can be sent to a colleague. */

const PAGES = ["overview", "topologies", "opportunities", "decisions", "learning", "control", "messages", "sql", "replays", "services", "lab"] as const;
export type Page = (typeof PAGES)[number];
/** Choices that go along from page to page. */
const SHARED = ["range", "chain"];

interface Place {
  page: Page;
  id: string;
  query: Record<string, string>;
}

function read(): Place {
  const [, first = "", ...rest] = location.pathname.split("/");
  const page = (PAGES as readonly string[]).includes(first) ? (first as Page) : "overview";
  let id = "";
  try {
    id = decodeURIComponent(rest.join("/"));
  } catch {
    // no id that could be one
  }
  return { page, id, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

export const route: Place = $state(read());

function write(place: Place): string {
  const query = new URLSearchParams(Object.entries(place.query).filter(([, value]) => value !== "")).toString();
  const id = place.id ? `/${encodeURIComponent(place.id)}` : "";
  return `/${place.page}${id}${query ? `?${query}` : ""}`;
}

/** The address of a page; what is shared between pages stays. */
export function href(page: Page, id = "", query: Record<string, string> = {}): string {
  const shared = Object.fromEntries(Object.entries(route.query).filter(([key]) => SHARED.includes(key)));
  return write({ page, id, query: { ...shared, ...query } });
}

export function go(address: string, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  Object.assign(route, read());
}

/** Change some choices of the page that is shown. */
export function choose(changes: Record<string, string>, replace = true): void {
  go(write({ page: route.page, id: route.id, query: { ...route.query, ...changes } }), replace);
}

/** Follow links inside the dashboard without loading it anew. */
export function followLinks(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a[href]");
  if (!(link instanceof HTMLAnchorElement) || link.origin !== location.origin || link.target || link.download) return;
  if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

window.addEventListener("popstate", () => Object.assign(route, read()));
