import { mount } from "svelte";
import App from "./App.svelte";
import { route } from "./lib/route.svelte";
import { PAGES } from "./pages";
import "./tokens.css";
import "./app.css";

// While the gateway is asked who this is, the page that will be shown is on its way.
void PAGES.find((page) => page.name === route.page)?.load().catch(() => {});

const target = document.getElementById("app");
if (target) {
  target.replaceChildren();
  mount(App, { target });
}
