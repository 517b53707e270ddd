import * as v from "valibot";
import { show, suggestion } from "../checks.js";
import { Conv } from "../nn/conv.js";
import type { Module } from "../nn/module.js";
import { bfloat16Unit, type Precision } from "../tensor/precision.js";

const NAMES = ["float32", "bfloat16", "bf16"] as const;

/** A precision by its name or, on a command line, by its short form. */
export function precision() {
  const known = v.picklist(NAMES, ({ input }) => {
    const advice = typeof input === "string" ? suggestion(input, NAMES) : "";
    return `expected "float32" or "bfloat16" (in short "bf16"), got ${show(input)}${advice}`;
  });
  return v.pipe(
    known,
    v.transform((name): Precision => (name === "bf16" ? "bfloat16" : name)),
  );
}

/** A note on what multiplies in bfloat16, and which layers of a network do not. */
export function precisionNote(network: Module): string {
  const unit = bfloat16Unit();
  const convolutions = network.modules().filter((module) => module instanceof Conv);
  const slower = unit === "float32 arithmetic" ? ", which is slower than float32" : "";
  const float32 = convolutions.some(isDepthwise) ? "; depthwise convolutions stay in float32" : "";
  return `bfloat16: ${unit}${slower}${float32}`;
}

function isDepthwise({ groups, inChannels }: Conv): boolean {
  return groups > 1 && groups === inChannels;
}
