import type { Preprocessing } from "../data/preprocessing/spec.js";

/** What a page knows of its network: plain JSON. */
export interface Demo {
  readonly title: string;
  /** The size of the module in bytes. */
  readonly bytes: number;
  readonly input: DemoInput;
  /** Of classes, labels or targets; null: of a vector. */
  readonly names: readonly string[] | null;
}

/** The kinds of samples, with what a user needs to know to enter one. */
export type DemoInput =
  | { readonly kind: "image"; readonly channels: number; readonly height: number; readonly width: number }
  | { readonly kind: "table"; readonly columns: Extract<Preprocessing, { kind: "table" }>["columns"] }
  | { readonly kind: "values"; readonly features: number };

/** What the module's function returns for a sample, for any task. */
export type Answer =
  | { readonly probabilities: readonly number[]; readonly labels?: readonly string[] }
  | { readonly values: readonly number[] }
  | Float32Array;

/** The module's function. */
export type Run = (input: unknown) => Answer;

/** Called with each new sample; null: there is none yet. */
export type OnSample = (sample: unknown) => void;
