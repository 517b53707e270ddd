import { badArgument } from "../checks.js";

/**
 * Refuses what is not the result of a comparison or of a sweep; one read from its JSON file is. `parts` are the paths
 * of what the caller reads of it, such as `difference.best`.
 */
export function expectResult(kind: "compare" | "sweep", result: unknown, parts: readonly string[]): void {
  const { kind: got } = (result ?? {}) as { kind?: unknown };
  if (got !== kind) throw badArgument("result", `what ${kind}() gives`, got ?? result);
  for (const path of parts) {
    const part = path.split(".").reduce<unknown>((whole, name) => Object(whole)[name], result);
    if (part === undefined) throw badArgument(`result.${path}`, `what ${kind}() gives`, part);
  }
}
