import { exportJs, type JsOptions, type Module } from "../../../src/index.js";

/** What an exported module exports, and two of its inner functions. */
export interface Exported {
  classify(input: unknown): { class: number; className: string; probabilities: number[]; labels: string[] };
  predict(input: unknown): { values: number[] };
  embed(input: unknown): Float32Array;
  logits(input: unknown): Float32Array;
  encode(input: unknown): Float32Array;
  forward(x: Float32Array): Float32Array;
}

/** Runs a module's text. That it is an ES module, too, is what the tests with runtimes of JavaScript see. */
export function evaluate(code: string): Exported {
  const names = ["classify", "predict", "embed", "logits", "encode", "forward"];
  const shown = names.map((name) => `${name}: typeof ${name} === "undefined" ? undefined : ${name}`).join(", ");
  return new Function(`"use strict";\n${code.replaceAll(/^export /gm, "")}\nreturn { ${shown} };`)() as Exported;
}

/** A network as a module that can be called. */
export function exported(network: Module, options: JsOptions = {}): Exported {
  return evaluate(exportJs(network, options).code);
}
