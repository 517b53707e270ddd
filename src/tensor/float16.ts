/** The float32 numbers that equal float16 numbers given by their bits; every float16 has one. */
export function fromFloat16(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = wordOf(halves[i]);
  return new Float32Array(words.buffer);
}

function wordOf(half: number): number {
  const [sign, exponent, fraction] = [(half & 0x8000) << 16, (half >> 10) & 31, half & 1023];
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal: its leading one becomes float32's hidden one.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}

/** The bits of the float16 numbers nearest to float32 numbers, ties to even: infinite from 65520 on. */
export function toFloat16(numbers: Float32Array): Uint16Array {
  const words = new Uint32Array(numbers.slice().buffer);
  return Uint16Array.from(words, halfOf);
}

function halfOf(word: number): number {
  const [sign, size] = [(word >>> 16) & 0x8000, word & 0x7fffffff];
  if (size > 0x7f800000) return sign | 0x7e00;
  // Rounded to ten bits, which may carry into the exponent.
  if (size >= 0x38800000) return sign | Math.min(((size + 0xfff + ((size >>> 13) & 1)) >>> 13) - (112 << 10), 0x7c00);
  // A subnormal: a multiple of 2^-24.
  const [exponent, fraction] = [size >>> 23, (size & 0x7fffff) | 0x800000];
  const shift = 126 - exponent;
  if (shift > 25) return sign;
  const half = 2 ** (shift - 1);
  const whole = Math.floor(fraction / 2 ** shift);
  const rest = fraction % 2 ** shift;
  return sign | (whole + Number(rest > half || (rest === half && whole % 2 === 1)));
}
