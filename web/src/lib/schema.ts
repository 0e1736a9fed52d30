/** JSON schemas of commands' payloads: which field they make, and what is wrong with a value before it is sent. */

import { count } from "./format";

export interface Schema {
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  examples?: unknown[];
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  anyOf?: Schema[];
  $ref?: string;
  $defs?: Record<string, Schema>;
}

export type Kind = "number" | "choice" | "truth" | "text" | "list" | "json";

/** A field's schema by itself: a reference is followed, and "or null" is left out. */
export function plain(schema: Schema, root: Schema): Schema {
  if (schema.$ref) return { ...plain(root.$defs?.[schema.$ref.split("/").at(-1)!] ?? {}, root), ...described(schema) };
  const given = schema.anyOf?.filter((each) => each.type !== "null");
  return given?.length === 1 ? { ...plain(given[0]!, root), ...described(schema) } : schema;
}

function described({ description, examples }: Schema): Schema {
  return { ...(description ? { description } : {}), ...(examples ? { examples } : {}) };
}

export function kindOf(schema: Schema): Kind {
  if (schema.enum) return "choice";
  if (schema.type === "number" || schema.type === "integer") return "number";
  if (schema.type === "boolean") return "truth";
  if (schema.type === "string") return "text";
  return schema.type === "array" && schema.items?.type === "string" ? "list" : "json";
}

/** Between what a value has to be, in words. */
export function bounds(schema: Schema): string {
  const { minimum: least, maximum: most, exclusiveMinimum: above, exclusiveMaximum: below, minItems: fewest, maxItems: many } = schema;
  const said = [
    least !== undefined ? `at least ${written(least)}` : above !== undefined ? `above ${written(above)}` : "",
    most !== undefined ? `at most ${written(most)}` : below !== undefined ? `below ${written(below)}` : "",
    fewest ? `at least ${fewest} lines` : "",
    many ? `at most ${written(many)} lines` : "",
  ];
  return [schema.type === "integer" ? "whole" : "", ...said].filter(Boolean).join(", ");
}

const written = (value: number): string => (Number.isInteger(value) ? count(value) : String(value));

/** What is wrong with a value, by its place in the payload; nothing where nothing is. */
export function faults(value: unknown, schema: Schema, root = schema, place = ""): Record<string, string> {
  const own = plain(schema, root);
  if (value === null && schema.anyOf?.some((each) => each.type === "null")) return {};
  const said = fault(value, own);
  if (said) return { [place]: said };
  if (Array.isArray(value)) return merged(value.map((each, index) => faults(each, own.items ?? {}, root, `${place}/${index}`)));
  if (!isRecord(value)) return {};
  const { properties = {}, required = [], additionalProperties: more } = own;
  const missing = required.filter((name) => !(name in value)).map((name) => ({ [`${place}/${name}`]: "has to be there" }));
  const each = Object.entries(value).map(([name, one]) => {
    const of = properties[name] ?? (typeof more === "object" ? more : more === false ? undefined : {});
    return of ? faults(one, of, root, `${place}/${name}`) : { [`${place}/${name}`]: "no such field" };
  });
  return merged([...missing, ...each]);
}

function merged(all: Record<string, string>[]): Record<string, string> {
  return Object.assign({}, ...all) as Record<string, string>;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fault(value: unknown, schema: Schema): string {
  if (schema.enum && !schema.enum.includes(value)) return `is one of ${schema.enum.join(", ")}`;
  const whole = typeof value === "bigint" || Number.isInteger(value);
  switch (schema.type) {
    case "integer":
      if (!whole) return "is a whole number";
      return outside(value as number | bigint, schema);
    case "number":
      return typeof value === "number" || typeof value === "bigint" ? outside(value, schema) : "is a number";
    case "boolean":
      return typeof value === "boolean" ? "" : "is true or false";
    case "string":
      if (typeof value !== "string") return "is a text";
      if (value.length < (schema.minLength ?? 0)) return "is empty";
      if (value.length > (schema.maxLength ?? Infinity)) return `has at most ${schema.maxLength} characters`;
      return schema.pattern && !matches(value, schema.pattern) ? `is to match ${schema.pattern}` : "";
    case "array":
      if (!Array.isArray(value)) return "is a list";
      if (value.length < (schema.minItems ?? 0)) return `has at least ${schema.minItems}`;
      return value.length > (schema.maxItems ?? Infinity) ? `has at most ${schema.maxItems}` : "";
    case "object":
      return isRecord(value) ? "" : "is an object";
    default:
      return "";
  }
}

function outside(value: number | bigint, schema: Schema): string {
  const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = schema;
  return value < minimum || value > maximum || value <= exclusiveMinimum || value >= exclusiveMaximum ? `is ${bounds(schema)}` : "";
}

/** A pattern that browsers do not know is left to the stage. */
function matches(value: string, pattern: string): boolean {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true;
  }
}
