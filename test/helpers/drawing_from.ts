import { type Generator, withGenerator } from "../../src/index.js";

/** What `body` gives, whose draws before its first `await` are taken from `generator`. */
export function drawingFrom<T>(generator: Generator, body: () => Promise<T>): Promise<T> {
  return withGenerator(generator, () => body());
}
