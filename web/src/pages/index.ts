/** The pages that there are, in the order of the rail. Each is loaded when it is first looked at. */

import type { Component } from "svelte";
import type { Page } from "../lib/route.svelte";

interface Entry {
  name: Page;
  title: string;
  key: string;
  load: () => Promise<{ default: Component<{ id: string }> }>;
}

export const PAGES: Entry[] = [
  { name: "overview", title: "Overview", key: "o", load: () => import("./Overview.svelte") },
  { name: "topologies", title: "Topologies", key: "t", load: () => import("./Topologies.svelte") },
  { name: "opportunities", title: "Opportunities", key: "p", load: () => import("./Opportunities.svelte") },
  { name: "decisions", title: "Decisions", key: "d", load: () => import("./Decisions.svelte") },
  { name: "learning", title: "Learning", key: "l", load: () => import("./Learning.svelte") },
  { name: "control", title: "Control", key: "c", load: () => import("./Control.svelte") },
  { name: "messages", title: "Messages", key: "m", load: () => import("./Messages.svelte") },
  { name: "sql", title: "SQL", key: "s", load: () => import("./Sql.svelte") },
  { name: "replays", title: "Replays", key: "r", load: () => import("./Replays.svelte") },
  { name: "services", title: "Services", key: "v", load: () => import("./Services.svelte") },
  { name: "lab", title: "Lab", key: "b", load: () => import("./Lab.svelte") },
];
