import { expect, test } from "vitest";
import { fromFloat16, toFloat16 } from "../../src/tensor/float16.js";

/** All float16 numbers from 0 up to infinity, by their bits. */
const HALVES = Uint16Array.from({ length: 0x7c01 }, (_, i) => i);

test("every float16 number is its own", () => {
  expect([...toFloat16(fromFloat16(HALVES))]).toEqual([...HALVES]);
  const negative = HALVES.map((half) => half | 0x8000);
  expect([...toFloat16(fromFloat16(negative))]).toEqual([...negative]);
  expect(fromFloat16(toFloat16(Float32Array.of(Number.NaN)))[0]).toBeNaN();
});

test("between two the nearer one, and the even one in the middle", () => {
  const values = fromFloat16(HALVES);
  values[0x7c00] = 65536; // From its middle to 65504 on all are infinite.
  const wrong: number[] = [];
  const steps = new Uint32Array(1);
  const number = new Float32Array(steps.buffer);
  const halfOf = () => toFloat16(number)[0];
  for (let half = 0; half < 0x7c00; half++) {
    const middle = (values[half] + values[half + 1]) / 2;
    number[0] = middle;
    const even = half % 2 === 0 ? half : half + 1;
    if (number[0] !== middle || halfOf() !== even) wrong.push(half);
    steps[0] += 1;
    if (halfOf() !== half + 1) wrong.push(half);
    steps[0] -= 2;
    if (halfOf() !== half) wrong.push(half);
  }
  expect(wrong).toEqual([]);
});
