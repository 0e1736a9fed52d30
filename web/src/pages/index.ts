/** The pages that there are, in the order of the rail. */

import type { Component } from "svelte";
import type { Page } from "../lib/route.svelte";
import Control from "./Control.svelte";
import Decisions from "./Decisions.svelte";
import Opportunities from "./Opportunities.svelte";
import Overview from "./Overview.svelte";
import Sql from "./Sql.svelte";
import Topologies from "./Topologies.svelte";

interface Entry {
  name: Page;
  title: string;
  key: string;
  component: Component<{ id: string }>;
}

export const PAGES: Entry[] = [
  { name: "overview", title: "Overview", key: "o", component: Overview },
  { name: "topologies", title: "Topologies", key: "t", component: Topologies },
  { name: "opportunities", title: "Opportunities", key: "p", component: Opportunities },
  { name: "decisions", title: "Decisions", key: "d", component: Decisions },
  { name: "control", title: "Control", key: "c", component: Control },
  { name: "sql", title: "SQL", key: "s", component: Sql },
];
