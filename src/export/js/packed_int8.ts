import { WEB_ASSEMBLY } from "../../ops/web_assembly.js";
import { sum } from "../../sums.js";
import type { JsFunction } from "../../tensor/js_form.js";

// web_assembly.wat repeats the next three.
/** What the shares of all numbers add up to. */
const SLOTS = 4096;
const LEAST_STATE = 2 ** 20;
const BASE = 92;
const STATE_DIGITS = 5;
/** The character of the digit 0, #. */
const FIRST = 35;
/** Codes of characters in ASCII, up to that of ~. */
const CODES = 127;
/**
 * The digits: what ASCII prints, but the quote and the backslash, which a text escapes, and `<`, which may end a script
 * in a page.
 */
const DIGITS = Array.from({ length: BASE }, (_, i) =>
  String.fromCharCode(FIRST + i)
    .replace("<", " ")
    .replace("\\", "!"),
);

/**
 * Numbers in 8 bits as a text of 92 digits, in which a frequent number takes less of a digit than a rare one:
 * asymmetric numeral systems (Duda, arXiv 1311.2540) that count in base 92. First come the largest number without its
 * sign and the shares of those up to it, out of 4096, two digits each, then the state, then what it takes in.
 */
export function packInt8(values: Int8Array): string {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const shares = sharesOf(values, largest);
  const starts = shares.map((_, n) => shares.slice(0, n).reduce((sum, share) => sum + share, 0));
  const digits: number[] = [];
  let state = LEAST_STATE;
  // Backwards, because what is written last is read first.
  for (let i = values.length - 1; i >= 0; i--) {
    const n = values[i] + largest;
    const share = shares[n];
    while (state >= (LEAST_STATE / SLOTS) * BASE * share) {
      digits.push(state % BASE);
      state = Math.floor(state / BASE);
    }
    state = Math.floor(state / share) * SLOTS + starts[n] + (state % share);
  }
  for (let i = 0; i < STATE_DIGITS; i++) {
    digits.push(state % BASE);
    state = Math.floor(state / BASE);
  }
  const table = [largest, ...shares].flatMap((share) => [Math.floor(share / BASE), share % BASE]);
  return [...table, ...digits.reverse()].map((digit) => DIGITS[digit]).join("");
}

/** The bytes of WebAssembly's memory in which so many numbers are read from a text. */
export function unpackingBytes(length: number, text: number): number {
  return 4 * SLOTS + CODES + length + text;
}

/** How many of the slots each number gets, from the least one on: by its frequency, and at least one if it occurs. */
function sharesOf(values: Int8Array, largest: number): number[] {
  const counts = new Array<number>(2 * largest + 1).fill(0);
  for (const value of values) counts[value + largest] += 1;
  const shares = counts.map((count) => (count === 0 ? 0 : Math.max(1, Math.round((count / values.length) * SLOTS))));
  // The most frequent number gets the rounding difference, because its share changes least.
  for (let rest = SLOTS - sum(shares); rest !== 0; rest = SLOTS - sum(shares)) {
    const most = shares.indexOf(Math.max(...shares));
    shares[most] = Math.max(1, shares[most] + Math.max(rest, -Math.ceil(shares[most] / 8)));
  }
  return shares;
}

/** The function of exported modules that reads what {@link packInt8} writes. */
export const UNPACKED: JsFunction = {
  name: "unpacked",
  calls: [WEB_ASSEMBLY],
  source: `
/**
 * Numbers in 8 bits from a text of ${BASE} digits, in which a frequent number takes less than a rare one (asymmetric
 * numeral systems, Duda, arXiv 1311.2540). First come the largest number and the shares of all, out of ${SLOTS}, then
 * the state, then what it takes in.
 */
function unpacked(text, length) {
  // The digits are from # to ~; a blank stands for <, and ! for the backslash.
  const digits = Uint8Array.from({ length: ${CODES} }, (_, code) => code - ${FIRST});
  digits[32] = ${"<".charCodeAt(0) - FIRST};
  digits[33] = ${"\\".charCodeAt(0) - FIRST};
  let at = 0;
  const pair = () => ${BASE} * digits[text.charCodeAt(at++)] + digits[text.charCodeAt(at++)];
  const largest = pair();
  // Of each slot the number, which one it is of that number's, and how many these are, less one.
  const slots = new Uint32Array(${SLOTS});
  for (let n = -largest, slot = 0; n <= largest; n++) {
    const share = pair();
    for (let i = 0; i < share; i++) slots[slot++] = (share - 1) * 2 ** 20 + (i << 8) + (n & 255);
  }
  let state = 0;
  for (let i = 0; i < ${STATE_DIGITS}; i++) state = ${BASE} * state + digits[text.charCodeAt(at++)];
  // An engine by itself has no TextEncoder.
  if (webAssembly !== null && length > 0 && typeof TextEncoder === "function") {
    const { bytes, end, decode } = webAssembly;
    const from = 4 * end;
    const to = from + slots.byteLength + digits.length;
    bytes.set(new Uint8Array(slots.buffer), from);
    bytes.set(digits, from + slots.byteLength);
    new TextEncoder().encodeInto(text, bytes.subarray(to + length));
    decode(to + length + at, to, to + length, state, from);
    return new Int8Array(bytes.slice(to, to + length).buffer);
  }
  const y = new Int8Array(length);
  for (let i = 0; i < length; i++) {
    const slot = slots[state & ${SLOTS - 1}];
    y[i] = slot;
    state = ((slot >>> 20) + 1) * (state >>> ${Math.log2(SLOTS)}) + ((slot >>> 8) & ${SLOTS - 1});
    while (state < ${LEAST_STATE}) state = ${BASE} * state + digits[text.charCodeAt(at++)];
  }
  return y;
}`,
};
