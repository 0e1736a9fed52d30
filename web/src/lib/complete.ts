/** What can stand where the caret is in a statement, by the live schema: tables, columns, functions and words of SQL. */

export interface SqlSchema {
  databases: { name: string; tables: { name: string; engine: string; comment: string; rows: number | null; columns: { name: string; type: string; comment: string }[] }[] }[];
  table_functions: string[];
  functions: { name: string; aggregate: boolean }[];
}

export interface Completion {
  text: string;
  /** What it is: a column's type, a table's engine. */
  what: string;
}

const MOST = 12;
const WORDS =
  "SELECT DISTINCT FROM WHERE PREWHERE GROUP BY ORDER BY HAVING LIMIT OFFSET WITH AS JOIN INNER LEFT RIGHT FULL ANY ALL ASOF ARRAY JOIN ON USING UNION ALL AND OR NOT IN BETWEEN LIKE ILIKE IS NULL DESC ASC CASE WHEN THEN ELSE END FINAL SAMPLE OVER PARTITION BY INTERVAL EXCEPT REPLACE DESCRIBE SHOW TABLES";
const KEYWORDS = [...new Set(WORDS.split(" "))];

/** Completions of the word before `caret`; `from`: where that word begins. Nothing inside a text or a comment. */
export function complete(text: string, caret: number, schema: SqlSchema): { from: number; found: Completion[] } {
  const before = text.slice(0, caret);
  const word = /[A-Za-z_]\w*$/.exec(before)?.[0] ?? "";
  const from = caret - word.length;
  if (inQuotes(before)) return { from, found: [] };
  const tables = schema.databases.flatMap((database, at) => database.tables.map((table) => ({ ...table, full: at ? `${database.name}.${table.name}` : table.name })));
  const lead = before.slice(0, from);
  const prefix = /(\w+)\.$/.exec(lead)?.[1];
  let offered: Completion[];
  if (prefix !== undefined) {
    const named = aliases(text)[prefix.toLowerCase()] ?? prefix;
    const database = schema.databases.find((each) => each.name === prefix);
    offered = database
      ? database.tables.map((table) => ({ text: table.name, what: table.engine }))
      : (tables.find((table) => table.full === named)?.columns ?? []).map((column) => ({ text: column.name, what: column.type }));
  } else if (/\b(from|join|table|describe|desc)\s+$/i.test(lead)) {
    offered = [...tables.map((table) => ({ text: table.full, what: table.engine })), ...schema.table_functions.map((name) => ({ text: name, what: "table function" }))];
  } else {
    const used = new Set(Object.values(aliases(text)));
    const columns = tables.filter((table) => used.has(table.full)).flatMap((table) => table.columns.map((column) => ({ text: column.name, what: column.type })));
    offered = [
      ...columns,
      ...schema.functions.map(({ name, aggregate }) => ({ text: name, what: aggregate ? "aggregate" : "function" })),
      ...KEYWORDS.map((keyword) => ({ text: keyword, what: "" })),
      ...tables.map((table) => ({ text: table.full, what: table.engine })),
    ];
  }
  const wanted = word.toLowerCase();
  const seen = new Set<string>();
  const fitting = offered.filter((each) => each.text.toLowerCase().startsWith(wanted) && each.text !== word && !seen.has(each.text) && seen.add(each.text));
  return { from, found: fitting.slice(0, MOST) };
}

/** Names by which the statement's tables are called, in lower case: `FROM raw_swaps AS s` gives s and raw_swaps. */
function aliases(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, name = "", alias] of text.matchAll(/\b(?:from|join)\s+((?:\w+\.)?\w+)(?:\s+(?:final\s+)?(?:as\s+)?(\w+))?/gi)) {
    found[name.toLowerCase()] = name;
    if (alias && !KEYWORDS.includes(alias.toUpperCase())) found[alias.toLowerCase()] = name;
  }
  return found;
}

function inQuotes(before: string): boolean {
  const line = before.slice(before.lastIndexOf("\n") + 1);
  const bare = before.replace(/'(?:[^'\\]|\\.)*'/g, "");
  return bare.includes("'") || line.includes("--");
}
