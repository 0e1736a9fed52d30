/** Light or dark: as the system says, until one is chosen. */

const KEY = "mevflow.theme";
export type Theme = "system" | "light" | "dark";

export const look: { theme: Theme } = $state({ theme: kept() });

function kept(): Theme {
  const found = localStorage.getItem(KEY);
  return found === "light" || found === "dark" ? found : "system";
}

export function setTheme(wanted: Theme): void {
  if (wanted === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, wanted);
  look.theme = wanted;
  apply();
}

export function apply(): void {
  if (look.theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = look.theme;
}
