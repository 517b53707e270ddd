import { badArgument } from "../checks.js";

/** Refuses what is not the result of a comparison or of a sweep; one read from its JSON file is. */
export function expectResult(kind: "compare" | "sweep", result: unknown): void {
  const { kind: got } = (result ?? {}) as { kind?: unknown };
  if (got === kind) return;
  throw badArgument("result", `what ${kind}() gives`, got ?? result);
}
