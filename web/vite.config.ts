import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [
    svelte({
      // What scrolls must take the keyboard: axe asks for it.
      onwarn: (warning, tell) => warning.code === "a11y_no_noninteractive_tabindex" || tell?.(warning),
    }),
  ],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the page's policy allows no data: URL
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
