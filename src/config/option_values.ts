import * as v from "valibot";
import { show } from "../checks.js";
import { MODELS } from "../models/index.js";
import { SCHEDULES } from "../optim/index.js";
import type { Schedule } from "../optim/schedules.js";
import {
  atHome,
  type Expression,
  expected,
  formatExpression,
  integer,
  list,
  path,
  type Registry,
  text,
} from "../registry/index.js";

/** A file or folder, or whether the default one is used. */
export const pathOrFlag = (what: string) =>
  v.pipe(v.union([v.boolean(), text(what)], expected(`true, false or ${what}`)), v.transform(atHome));
/** The folder that a command writes. */
export const folder = (usual: string) => v.optional(path("a folder"), usual);
/** A file or several. */
export const files = () =>
  v.optional(
    v.lazy(
      (value) => (Array.isArray(value) ? list(path("a file"), "a file, or a list of files") : path("a file")) as Files,
    ),
  );
type Files = v.GenericSchema<string | readonly string[]>;
/** A whole number from 1. */
export const upTo = (max: number) => integer(1, max);

type Named = Pick<Registry<unknown>, "issueOf" | "canonical">;

/**
 * Something that a registry makes by name, given as text or as an object. It is kept as text, with every default unless
 * `isShort`: the defaults of an optimizer or schedule may come from other options.
 */
export function named(registry: Named, { sum = false, isShort = false } = {}) {
  return v.pipe(
    v.custom<Expression>(() => true),
    v.rawTransform(({ dataset, addIssue, NEVER }): string => {
      const message = registry.issueOf(dataset.value, { sum });
      if (message === null) return isShort ? formatExpression(dataset.value) : registry.canonical(dataset.value);
      addIssue({ message });
      return NEVER;
    }),
  );
}

type ScheduleSchema = v.GenericSchema<Expression | Schedule, string | Schedule>;
const isFunction = v.custom<Schedule>((value) => typeof value === "function");
export const schedule = v.lazy(
  (value): ScheduleSchema => (typeof value === "function" ? isFunction : named(SCHEDULES, { isShort: true })),
);

/** An interval in steps. */
export const STEPS = v.strictObject({ steps: integer(1) }, ({ input }) =>
  input === undefined ? "needed" : `expected a number of epochs, or { steps: 100 }, got ${show(input)}`,
);
export type CheckpointEvery = v.GenericSchema<number | { steps: number }>;

/** The networks of a chain, as text or as a list. */
export function linksOf(chain: string | readonly Expression[]): readonly Expression[] {
  return typeof chain === "string" ? chain.split("->").map((text) => text.trim()) : chain;
}

/** Networks in their order, each with every default. */
export const CHAIN = v.pipe(
  v.custom<string | readonly Expression[]>(() => true),
  v.rawTransform(({ dataset, addIssue, NEVER }): string[] => {
    const links = linksOf(dataset.value);
    const refuse = (message: string) => {
      addIssue({ message });
      return NEVER;
    };
    if (!Array.isArray(links) || links.length < 2) {
      return refuse(
        `expected two networks or more, as "mlp(hidden=[64]) -> mlp(hidden=[16])", got ${show(dataset.value)}`,
      );
    }
    const issues = links.map((link) => MODELS.issueOf(link));
    const wrong = issues.findIndex((issue) => issue !== null);
    return wrong < 0 ? links.map((link) => MODELS.canonical(link)) : refuse(`link ${wrong + 1}: ${issues[wrong]}`);
  }),
);
